package tools

// Plan is what a person is shown and agrees to before a Critical operation
// runs. Its facts are read from the server, never from the caller's words.
type Plan struct {
	Target  Target     `json:"target"`
	Facts   []PlanFact `json:"facts"`
	Effects []string   `json:"effects"`          // what will be done, and what cannot be undone
	Phrase  string     `json:"phrase,omitempty"` // to be typed for the worst; "" asks for a plain yes
	Notes   []string   `json:"notes,omitempty"`
}

// Target is the thing that a plan is about, by its ID.
type Target struct {
	Server string `json:"server"`
	Kind   string `json:"kind"` // "backup", "server", "file"
	ID     string `json:"id,omitempty"`
	Name   string `json:"name"`
}

// PlanFact is one thing that was observed. A binding one is part of the
// fingerprint: when it differs at the time of execution, nothing is done. One
// that is not binding is shown only (sizes, numbers of versions).
type PlanFact struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Binding bool   `json:"binding,omitempty"`
	Hidden  bool   `json:"hidden,omitempty"` // compared but not shown, such as a digest
	Tone    Tone   `json:"tone,omitempty"`
}

// Bind returns a fact that must not change between agreement and execution.
func Bind(name, value string) PlanFact { return PlanFact{Name: name, Value: value, Binding: true} }

// Show returns a fact that may change.
func Show(name, value string) PlanFact { return PlanFact{Name: name, Value: value} }

// Bound returns the value of a binding fact, "" when there is none.
func (p Plan) Bound(name string) string {
	for _, f := range p.Facts {
		if f.Binding && f.Name == name {
			return f.Value
		}
	}
	return ""
}

// Difference is one binding fact that changed since it was shown.
type Difference struct {
	Name string `json:"name"`
	Was  string `json:"was"`
	Is   string `json:"is"`
}

// differences lists the binding facts, and the target, in which now differs
// from shown. Hidden values are named and not shown.
func differences(shown, now Plan) []Difference {
	var out []Difference
	add := func(name, was, is string, hidden bool) {
		if was == is {
			return
		}
		if hidden {
			was, is = "as shown", "different"
		}
		out = append(out, Difference{Name: name, Was: was, Is: is})
	}
	add("server", shown.Target.Server, now.Target.Server, false)
	add(shown.Target.Kind+" id", shown.Target.ID, now.Target.ID, false)
	add(shown.Target.Kind+" name", shown.Target.Name, now.Target.Name, false)
	before := map[string]PlanFact{}
	for _, f := range shown.Facts {
		if f.Binding {
			before[f.Name] = f
		}
	}
	for _, f := range now.Facts {
		if !f.Binding {
			continue
		}
		add(f.Name, before[f.Name].Value, f.Value, f.Hidden)
		delete(before, f.Name)
	}
	for _, f := range shown.Facts {
		if _, left := before[f.Name]; left && f.Binding {
			add(f.Name, f.Value, "", f.Hidden)
		}
	}
	return out
}
