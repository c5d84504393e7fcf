package ops_test

import (
	"slices"
	"testing"

	"github.com/duplibot/duplibot/tools"
)

// samples are calls of every operation, by its name: the loops over the
// registry make them. A backup called Photos and a file called file are there.
var samples = map[string][]args{
	"list-backups":        {nil, {"detailed": true}, {"problems": true}},
	"run":                 {{"backup": "Photos"}, {"backup": "Photos", "wait": true}, {"backup": "Photos", "skip_queue": true}},
	"wait":                {{"backup": "Photos", "seconds": 1}},
	"progress":            {nil, {"backup": "Photos"}},
	"result":              {{"backup": "Photos"}},
	"stop":                {{"backup": "Photos", "seconds": 1}, {"backup": "Photos", "seconds": 1, "abort": true}},
	"export":              {{"backups": []string{"all"}, "encryption_passphrase": "photos-passphrase"}, {"backups": []string{"Photos"}, "unencrypted": true, "overwrite": true}, {"backups": []string{"Photos"}, "export_passwords": true, "encryption_passphrase": "photos-passphrase", "overwrite": true}},
	"import":              {{"file": "file"}},
	"delete":              {{"backup": "Photos"}, {"backup": "Photos", "delete_remote_files": true, "delete_local_db": true, "force": true}},
	"status":              {nil},
	"health":              {nil},
	"pause":               {{"duration": "5m"}, {"until_resumed": true}},
	"resume":              {nil},
	"change-password":     {{"new_password": "photos-passphrase"}, {"new_password": "generate"}},
	"issue-forever-token": {nil},
	"login":               {nil},
	"logout":              {nil},
	"approval":            {nil},
	"servers":             {nil},
}

func TestThereAreSamplesOfEveryOperation(t *testing.T) {
	var names []string
	for _, op := range all() {
		names = append(names, op.Name)
		if len(samples[op.Name]) == 0 {
			t.Errorf("%s is in no loop over the operations", op.Name)
		}
	}
	for name := range samples {
		if !slices.Contains(names, name) {
			t.Errorf("there is no operation %s", name)
		}
	}
}

// each calls f with every sample of every operation, in the registry's order.
func each(f func(op *tools.Operation, a args)) {
	for _, op := range all() {
		for _, a := range samples[op.Name] {
			f(op, a)
		}
	}
}
