package config

import "errors"

// Options is what a load takes from outside the file. The zero Options is what
// a program uses.
type Options struct {
	// Account finds the identity of an account of this host by its name; nil
	// asks the system.
	Account func(name string) (identity string, err error)
}

// Load reads and checks the file at path. Its error is an *Error with all
// that is wrong.
func Load(path string, o Options) (*Config, error) {
	text, bad := open(path)
	if bad != nil {
		return nil, &Error{Path: path, Findings: []Finding{*bad}}
	}
	c, err := Parse(text, o)
	var e *Error
	if errors.As(err, &e) {
		e.Path = path
		return nil, e
	}
	c.Path = path
	return c, nil
}

// Parse checks the text of a file. Its error is an *Error without a path.
func Parse(text []byte, o Options) (*Config, error) {
	if o.Account == nil {
		o.Account = account
	}
	c := &Config{}
	r := decode(text, c)
	c.lines = r.lines
	k := &checker{c: c, findings: r.findings, account: o.Account, misread: map[string]bool{}}
	for _, f := range r.findings {
		k.misread[f.Key] = true
	}
	if len(r.lines) > 0 {
		k.all()
	}
	var wrong []Finding
	for _, f := range inOrder(k.findings) {
		if f.Warning {
			c.Warnings = append(c.Warnings, f)
		} else {
			wrong = append(wrong, f)
		}
	}
	if len(wrong) > 0 {
		return nil, &Error{Findings: inOrder(k.findings)}
	}
	return c, nil
}
