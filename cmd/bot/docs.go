package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/duplibot/duplibot/tools"
)

// generated is the parts of the documents that are made from declarations:
// file, marker, and what stands between the marker and its end.
func generated(reg *tools.Registry) ([]section, error) {
	policy, err := policyTable(reg)
	if err != nil {
		return nil, err
	}
	return []section{
		{"docs/operations.md", "operations", operationTable(reg)},
		{"docs/operations.md", "details", operationDetails(reg)},
		{"docs/policy.md", "policy", policy},
	}, nil
}

type section struct{ file, name, text string }

// writeDocs brings the generated sections under root up to date, or, when it
// only checks, says which are not.
func writeDocs(root string, reg *tools.Registry, check bool, out io.Writer) error {
	sections, err := generated(reg)
	if err != nil {
		return err
	}
	var stale []string
	for _, s := range sections {
		name := filepath.Join(root, filepath.FromSlash(s.file))
		old, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		now, err := between(old, s.name, s.text)
		if err != nil {
			return fmt.Errorf("%s: %w", s.file, err)
		}
		if bytes.Equal(old, now) {
			continue
		}
		if check {
			stale = append(stale, s.file+" ("+s.name+")")
			continue
		}
		if err := os.WriteFile(name, now, 0o644); err != nil {
			return err
		}
		fmt.Fprintln(out, "wrote", s.file)
	}
	if len(stale) > 0 {
		return fmt.Errorf("out of date: %s; run: duplibot docs", strings.Join(stale, ", "))
	}
	return nil
}

// between puts text between the markers of a section.
func between(doc []byte, name, text string) ([]byte, error) {
	begin, end := "<!-- generated: "+name+" -->\n", "<!-- end: "+name+" -->"
	before, rest, ok := strings.Cut(string(doc), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return nil, errors.New("the markers of section " + name + " are not there")
	}
	return []byte(before + begin + "\n" + strings.TrimSpace(text) + "\n\n" + end + after), nil
}

func operationTable(reg *tools.Registry) string {
	var b strings.Builder
	b.WriteString("| operation | what it does | risk | least role | toolset | MCP tool |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, op := range reg.All() {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s | %s | `%s` |\n", op.Name, op.Name, op.Summary, op.Risk, op.LeastRole(), op.Toolset, op.MCPName())
	}
	return b.String()
}

func operationDetails(reg *tools.Registry) string {
	var b strings.Builder
	for _, op := range reg.All() {
		fmt.Fprintf(&b, "### %s\n\n%s.\n\n", op.Name, op.Summary)
		if op.Help != "" {
			fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(op.Help))
		}
		fmt.Fprintf(&b, "```\n%s\n```\n\n", op.Usage())
		if len(op.Params) > 0 {
			b.WriteString("| parameter | | meaning |\n| --- | --- | --- |\n")
		}
		for _, p := range op.Params {
			name := "--" + p.Flag
			if p.Pos {
				name = strings.ToUpper(p.Name)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, paramKind(p), strings.ReplaceAll(p.Help, "|", "\\|"))
		}
		for _, e := range op.Examples {
			fmt.Fprintf(&b, "\n```\nduplibot %s\n```\n", e)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func paramKind(p tools.Param) string {
	var words []string
	switch {
	case p.File:
		words = append(words, "file")
	case p.Secret:
		words = append(words, "secret")
	case len(p.Enum) > 0:
		words = append(words, strings.Join(p.Enum, ", "))
	default:
		words = append(words, string(p.Kind))
	}
	if p.Required {
		words = append(words, "required")
	}
	if !p.On(tools.MCP) {
		words = append(words, "terminal only")
	}
	return strings.Join(words, "; ")
}

// policyTable shows what each role may do on each surface when the config has
// no rules of its own, with one approver and with two.
func policyTable(reg *tools.Registry) (string, error) {
	var b strings.Builder
	for _, team := range []struct {
		title   string
		persons []tools.Person
	}{
		{"One approver", []tools.Person{{Name: "the approver", Roles: []string{"operator", "approver"}}}},
		{"Two approvers or more", []tools.Person{{Name: "the approver", Roles: []string{"operator", "approver"}}, {Name: "another", Roles: []string{"viewer", "approver"}}}},
	} {
		people, err := tools.NewPeople(team.persons, nil)
		if err != nil {
			return "", err
		}
		policy, err := tools.NewPolicy(tools.PolicyConfig{}, reg, people)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "### %s\n\n| operation | risk | viewer | operator | admin | operator who is an approver |\n| --- | --- | --- | --- | --- | --- |\n", team.title)
		for _, op := range reg.All() {
			fmt.Fprintf(&b, "| `%s` | %s |", op.Name, op.Risk)
			for _, s := range []tools.Subject{
				{Name: "somebody", Listed: true, Role: tools.Viewer},
				{Name: "somebody", Listed: true, Role: tools.Operator},
				{Name: "somebody", Listed: true, Role: tools.Admin},
				{Name: "the approver", Listed: true, Role: tools.Operator, Approver: true},
			} {
				fmt.Fprintf(&b, " %s |", onSurfaces(policy, op, s))
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	return b.String(), nil
}

// onSurfaces is the verdict where it is the same on all surfaces, as it is
// without rules, and each one's otherwise.
func onSurfaces(policy *tools.Policy, op *tools.Operation, s tools.Subject) string {
	verdicts := map[string][]string{}
	var order []string
	for _, surface := range []tools.Surface{tools.CLI, tools.Slack, tools.MCP} {
		r := policy.Rule(op, op.Risk, s, surface, "nas")
		word := r.Verdict.String()
		if r.Code == tools.TooFewApprovers {
			word = "refused: nobody could agree"
		}
		if verdicts[word] == nil {
			order = append(order, word)
		}
		verdicts[word] = append(verdicts[word], string(surface))
	}
	if len(order) == 1 {
		return order[0]
	}
	var parts []string
	for _, word := range order {
		parts = append(parts, word+" ("+strings.Join(verdicts[word], ", ")+")")
	}
	return strings.Join(parts, "; ")
}
