package slacktest

import (
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// choose turns what a person picked into the fields of an action or of a view's state, and refuses what
// the client would not let him pick; mu is held.
func (s *Server) choose(e Element, values []string) (obj, error) {
	one := ""
	if len(values) > 0 {
		one = values[0]
	}
	j := obj{"type": e.Type}
	switch e.Type {
	case "button", "workflow_button":
		return j, nil
	case "plain_text_input", "email_text_input", "url_text_input", "number_input":
		return j, s.typeText(e, one, j)
	case "static_select", "external_select", "radio_buttons", "overflow":
		o, err := s.option(e, one)
		j["selected_option"] = o
		return j, err
	case "multi_static_select", "multi_external_select", "checkboxes":
		chosen := []obj{}
		for _, v := range values {
			o, err := s.option(e, v)
			if err != nil {
				return nil, err
			}
			chosen = append(chosen, o)
		}
		j["selected_options"] = chosen
	case "users_select":
		j["selected_user"] = one
	case "conversations_select":
		j["selected_conversation"] = one
	case "channels_select":
		j["selected_channel"] = one
	case "multi_users_select":
		j["selected_users"] = values
	case "multi_conversations_select":
		j["selected_conversations"] = values
	case "multi_channels_select":
		j["selected_channels"] = values
	case "datepicker":
		j["selected_date"] = one
	case "timepicker":
		j["selected_time"] = one
	case "datetimepicker":
		at, err := strconv.ParseInt(one, 10, 64)
		j["selected_date_time"] = at
		return j, err
	default:
		return nil, fmt.Errorf("a %s cannot be used here", e.Type)
	}
	return j, nil
}

func (s *Server) typeText(e Element, text string, into obj) error {
	into["value"] = text
	n := utf8.RuneCountInString(text)
	if limit, ok := e.Raw["max_length"].(float64); n > 3000 || ok && n > int(limit) {
		return fmt.Errorf("the client takes no %d characters", n)
	}
	if limit, ok := e.Raw["min_length"].(float64); ok && n < int(limit) {
		return fmt.Errorf("the client wants more than %d characters", n)
	}
	if e.Type == "number_input" {
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return fmt.Errorf("the client takes only numbers: %w", err)
		}
	}
	return nil
}

// option finds a choice among those on the element, or those that the app offered.
func (s *Server) option(e Element, value string) (obj, error) {
	list := objects(e.Raw["options"])
	for _, g := range objects(e.Raw["option_groups"]) {
		list = append(list, objects(g["options"])...)
	}
	if e.Type == "external_select" || e.Type == "multi_external_select" {
		list = append(list, s.offered[e.key()]...)
		list = append(list, initialOptions(e)...)
	}
	i := slices.IndexFunc(list, func(o obj) bool { return str(o["value"]) == value })
	if i < 0 {
		return nil, fmt.Errorf("%q is not among the options", value)
	}
	return pick(list[i], "text", "value", "description"), nil
}

func initialOptions(e Element) []obj {
	list := objects(e.Raw["initial_options"])
	if o, ok := e.Raw["initial_option"].(obj); ok {
		list = append(list, o)
	}
	return list
}

// initial is the state of an element that nobody has touched.
func initial(e Element) obj {
	j := obj{"type": e.Type}
	from := func(field, initial string) { j[field] = e.Raw[initial] }
	switch e.Type {
	case "static_select", "external_select", "radio_buttons":
		from("selected_option", "initial_option")
	case "multi_static_select", "multi_external_select", "checkboxes":
		j["selected_options"] = append([]obj{}, objects(e.Raw["initial_options"])...)
	case "users_select":
		from("selected_user", "initial_user")
	case "conversations_select":
		from("selected_conversation", "initial_conversation")
	case "channels_select":
		from("selected_channel", "initial_channel")
	case "datepicker":
		from("selected_date", "initial_date")
	case "timepicker":
		from("selected_time", "initial_time")
	case "datetimepicker":
		from("selected_date_time", "initial_date_time")
	case "multi_users_select":
		j["selected_users"] = []string{}
	case "multi_conversations_select":
		j["selected_conversations"] = []string{}
	case "multi_channels_select":
		j["selected_channels"] = []string{}
	default:
		from("value", "initial_value")
	}
	return j
}

// state is what state.values holds: every element that keeps a value, by block and action.
func (s *Server) state(blocks []obj, typed map[string]obj) obj {
	values := obj{}
	for _, e := range elements(blocks) {
		if e.Type == "button" || e.Type == "overflow" || e.Type == "workflow_button" {
			continue
		}
		entry, ok := typed[e.key()]
		if !ok {
			entry = initial(e)
		}
		if values[e.BlockID] == nil {
			values[e.BlockID] = obj{}
		}
		values[e.BlockID].(obj)[e.ActionID] = entry
	}
	return values
}

// filled says whether an input has a value.
func filled(entry obj) bool {
	for k, v := range entry {
		if k == "type" {
			continue
		}
		switch v := v.(type) {
		case nil:
			return false
		case string:
			return v != ""
		case []obj:
			return len(v) > 0
		case []string:
			return len(v) > 0
		}
		return true
	}
	return false
}
