package tools

import "fmt"

// Risk says what an operation can do to somebody's backups. It is the one
// source of MCP hints, policy defaults and confirmation.
type Risk int

const (
	Read     Risk = iota + 1 // observes
	Change                   // another operation can undo it
	Critical                 // data or history is lost, or who has access changes
)

var riskNames = map[Risk]string{Read: "read", Change: "change", Critical: "critical"}

// String is the name used in the config, in records and in documentation.
func (r Risk) String() string {
	if name, ok := riskNames[r]; ok {
		return name
	}
	return fmt.Sprintf("risk(%d)", int(r))
}

// MarshalText writes the name.
func (r Risk) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a name.
func (r *Risk) UnmarshalText(text []byte) error {
	for risk, name := range riskNames {
		if name == string(text) {
			*r = risk
			return nil
		}
	}
	return fmt.Errorf("unknown risk %q: known are read, change, critical", text)
}
