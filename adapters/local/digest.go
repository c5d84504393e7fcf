package local

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/duplibot/duplibot/tools"
)

// digest is equal for two registries whose operations look the same to a
// caller: names, risks, parameters and the shapes of results. Each command at
// a terminal computes it, so nothing is marshalled for it.
func digest(r *tools.Registry) string {
	sum := sha256.New()
	for _, op := range r.All() {
		fmt.Fprintf(sum, "%q %q %d %d %t %t %t\n", op.Name, op.Toolset, op.Risk, op.LeastRole(), op.Idempotent, op.Global, op.HasPlan())
		for _, p := range op.Params {
			fmt.Fprintf(sum, "\t%q %q %q %t %t %t %t %t %t %t %t %q", p.Name, p.Kind, p.Enum, p.Required, p.Pos, p.Rest, p.Secret, p.File, p.Path, p.Here, p.New, p.Complete)
			for _, s := range tools.Surfaces {
				fmt.Fprint(sum, p.On(s))
			}
			io.WriteString(sum, "\n")
		}
		shape(sum, op.OutputSchema())
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// shape writes what a schema says of names and types, and no words.
func shape(w io.Writer, s *jsonschema.Schema) {
	if s == nil {
		return
	}
	fmt.Fprintf(w, "{%s%q%q%v%q", s.Type, s.Types, s.Format, s.Enum, s.Required)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		fmt.Fprintf(w, "%q", name)
		shape(w, s.Properties[name])
	}
	shape(w, s.Items)
	shape(w, s.AdditionalProperties)
	io.WriteString(w, "}")
}
