package mcp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// asks asks over MCP for the end of a thing, and returns the request's ID.
func asks(t *testing.T, s *sdk.ClientSession, thing string) string {
	t.Helper()
	res := call(t, s, "duplicati_destroy", map[string]any{"thing": thing})
	if res.IsError || content(t, res, "status") != "pending" {
		t.Fatalf("answered %s", text(res))
	}
	return content(t, res, "approval", "id").(string)
}

// state is what the assistant is told of a request.
func state(t *testing.T, s *sdk.ClientSession, id string) string {
	t.Helper()
	return fmt.Sprint(call(t, s, "duplicati_request", map[string]any{"id": id}).StructuredContent)
}

func (r *rig) wantDid(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(r.World.Did(), ","); got != want {
		t.Errorf("did %q, want %q", got, want)
	}
}

func wantCode(t *testing.T, err error, codes ...tools.Code) {
	t.Helper()
	for _, code := range codes {
		if tools.CodeOf(err) == code {
			return
		}
	}
	t.Errorf("error %v, want one of %v", err, codes)
}

// Every row is asked for by an assistant over MCP, in both eras; the person is
// at a terminal or in Slack.
func adversary(t *testing.T, f func(t *testing.T, connect func(*rig) *sdk.ClientSession)) {
	for era, version := range eras {
		t.Run(era, func(t *testing.T) {
			f(t, func(r *rig) *sdk.ClientSession {
				return r.stdio(t, toolstest.AnnsAssistant, version, lying(&asked{}, "accept"))
			})
		})
	}
}

func TestADecisionThatIsReplayedRunsNothingAgain(t *testing.T) {
	adversary(t, func(t *testing.T, connect func(*rig) *sdk.ClientSession) {
		r := newRig(t, nil)
		s := connect(r)
		id := asks(t, s, "photos")
		if _, err := r.Decide(toolstest.BobAtTerminal, id, true); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			_, err := r.Decide(toolstest.BobAtTerminal, id, true)
			wantCode(t, err, tools.AlreadyDecided)
		}
		// The thing is gone; asked for again it is another request, or none.
		if res := call(t, s, "duplicati_destroy", map[string]any{"thing": "photos"}); !res.IsError {
			t.Errorf("answered %s", text(res))
		}
		r.wantDid(t, "destroy nas 1")
	})
}

func TestAnArgumentThatIsChangedIsAnotherRequest(t *testing.T) {
	adversary(t, func(t *testing.T, connect func(*rig) *sdk.ClientSession) {
		r := newRig(t, nil)
		s := connect(r)
		one, two := asks(t, s, "photos"), asks(t, s, "mail")
		if one == two {
			t.Fatal("two calls are one request")
		}
		if _, err := r.Decide(toolstest.BobAtTerminal, one, true); err != nil {
			t.Fatal(err)
		}
		r.wantDid(t, "destroy nas 1")
		if got := state(t, s, two); !strings.Contains(got, "pending") {
			t.Errorf("the other one is %s", got)
		}
	})
}

func TestAThingThatChangesBetweenCardAndClickIsLeftAlone(t *testing.T) {
	for name, change := range map[string]func(*toolstest.Thing){
		"renamed": func(t *toolstest.Thing) { t.Name = "Photos of somebody else" },
		"started": func(t *toolstest.Thing) { t.Running = true },
	} {
		t.Run(name, func(t *testing.T) {
			adversary(t, func(t *testing.T, connect func(*rig) *sdk.ClientSession) {
				r := newRig(t, nil)
				s := connect(r)
				id := asks(t, s, "1")
				r.World.Change("nas", "1", change)
				a, err := r.Decide(toolstest.BobAtTerminal, id, true)
				if a.State != tools.StateChanged {
					t.Errorf("it is %s, %v", a.State, err)
				}
				if got := state(t, s, id); !strings.Contains(got, "changed") {
					t.Errorf("the assistant is told %s", got)
				}
				r.wantDid(t, "")
			})
		})
	}
}

func TestARequestThatExpiresBetweenCardAndClickRunsNothing(t *testing.T) {
	for name, steps := range map[string][]time.Duration{
		"by time": {9 * time.Hour}, "and the clock is stepped back": {9 * time.Hour, -20 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			adversary(t, func(t *testing.T, connect func(*rig) *sdk.ClientSession) {
				r := newRig(t, nil)
				s := connect(r)
				id := asks(t, s, "1")
				for _, step := range steps {
					r.Clock.Add(step)
					asks(t, s, "2") // so that the gate sees the time
				}
				_, err := r.Decide(toolstest.BobAtTerminal, id, true)
				wantCode(t, err, tools.Expired)
				r.wantDid(t, "")
			})
		})
	}
}

func TestAnApproverWhoIsNoneAnymoreDecidesNothing(t *testing.T) {
	adversary(t, func(t *testing.T, connect func(*rig) *sdk.ClientSession) {
		r := newRig(t, nil)
		id := asks(t, connect(r), "1")
		carl := tools.Person{Name: "carl", Identities: []tools.Identity{"uid:1009"}, Roles: []string{"viewer", "approver"}}
		bob := toolstest.Usual[1]
		bob.Roles = []string{"operator"}
		later := toolstest.New(t, toolstest.After(r.Gate), toolstest.WithOperations(reads(r.World)...),
			toolstest.WithPeople([]tools.Person{toolstest.Usual[0], bob, carl}))
		_, err := later.Decide(toolstest.BobAtTerminal, id, true)
		wantCode(t, err, tools.Denied)
		r.wantDid(t, "")
	})
}

func TestNobodyAgreesToWhatHisOwnAssistantAskedFor(t *testing.T) {
	group := tools.Group{ID: "slack:T0001/S0OPS", Roles: []string{"approver"}}
	for name, who := range map[string]tools.Caller{
		"by the identity that asked":      toolstest.AnnsAssistant,
		"at a terminal":                   toolstest.AnnAtTerminal,
		"in slack":                        toolstest.AnnInSlack,
		"by an unlinked second account":   {Identity: "slack:T0001/U0ANN2", Surface: tools.Slack},
		"by a stranger":                   toolstest.Stranger,
		"by the assistant of another one": {Identity: "mcp:bob-laptop", Surface: tools.MCP},
	} {
		t.Run(name, func(t *testing.T) {
			adversary(t, func(t *testing.T, connect func(*rig) *sdk.ClientSession) {
				bob := toolstest.Usual[1]
				bob.Identities = append([]tools.Identity{"mcp:bob-laptop"}, bob.Identities...)
				r := newRig(t, nil, toolstest.WithPeople([]tools.Person{toolstest.Usual[0], bob}, group), toolstest.WithMemberships(everybody{}))
				id := asks(t, connect(r), "1")
				if a, err := r.Decide(who, id, true); err == nil {
					t.Errorf("it is %s", a.State)
				}
				r.wantDid(t, "")
				if _, err := r.Decide(toolstest.BobAtTerminal, id, true); err != nil {
					t.Error(err)
				}
				r.wantDid(t, "destroy nas 1")
			})
		})
	}
}

func TestTwoPeopleWhoClickAtOnceRunItOnce(t *testing.T) {
	adversary(t, func(t *testing.T, connect func(*rig) *sdk.ClientSession) {
		carl := tools.Person{Name: "carl", Identities: []tools.Identity{"uid:1009"}, Roles: []string{"viewer", "approver"}}
		r := newRig(t, nil, toolstest.WithPeople(append([]tools.Person{carl}, toolstest.Usual...)))
		id := asks(t, connect(r), "1")
		var wg sync.WaitGroup
		for _, who := range []tools.Caller{toolstest.BobAtTerminal, {Identity: "uid:1009", Surface: tools.CLI}, toolstest.BobInSlack} {
			for range 5 {
				wg.Go(func() { _, _ = r.Decide(who, id, true) })
			}
		}
		wg.Wait()
		r.wantDid(t, "destroy nas 1")
	})
}

func TestTheOnlyApproverAgreesWhereNoModelIs(t *testing.T) {
	adversary(t, func(t *testing.T, connect func(*rig) *sdk.ClientSession) {
		r := newRig(t, nil, toolstest.WithPeople(toolstest.Solo))
		s := connect(r)
		id := asks(t, s, "1")
		_, err := r.Decide(toolstest.AnnsAssistant, id, true)
		wantCode(t, err, tools.Denied)
		r.wantDid(t, "")
		if _, err := r.Decide(toolstest.AnnAtTerminal, id, true); err != nil {
			t.Fatal(err)
		}
		r.wantDid(t, "destroy nas 1")
	})
}

// everybody says that whoever is asked about belongs to the group, or that it
// cannot tell.
type everybody struct{ err error }

func (e everybody) Groups(context.Context, tools.Identity) ([]tools.Identity, error) {
	return []tools.Identity{"slack:T0001/S0OPS"}, e.err
}

func TestAGroupThatCannotBeReadMakesNobodyAnApprover(t *testing.T) {
	adversary(t, func(t *testing.T, connect func(*rig) *sdk.ClientSession) {
		group := tools.Group{ID: "slack:T0001/S0OPS", Roles: []string{"approver"}}
		r := newRig(t, nil, toolstest.WithPeople(toolstest.Usual, group), toolstest.WithMemberships(everybody{errors.New("slack is down")}))
		id := asks(t, connect(r), "1")
		if a, err := r.Decide(tools.Caller{Identity: "slack:T0001/U0OLAF", Surface: tools.Slack}, id, true); err == nil {
			t.Errorf("it is %s", a.State)
		}
		r.wantDid(t, "")
	})
}

// full is an audit log on a disk that has no room.
type full struct{ tools.AuditLog }

func (full) Append(context.Context, tools.Record) (tools.Record, error) {
	return tools.Record{}, errors.New("no space left on device")
}

func TestWhenTheAuditDiskIsFullAnAssistantReadsAndChangesNothing(t *testing.T) {
	adversary(t, func(t *testing.T, connect func(*rig) *sdk.ClientSession) {
		r := newRig(t, nil, toolstest.WithOptions(func(o *tools.Options) { o.Audit = full{o.Audit} }))
		s := connect(r)
		for _, tool := range []string{"duplicati_start", "duplicati_destroy"} {
			if res := call(t, s, tool, map[string]any{"thing": "1"}); !res.IsError || !strings.Contains(text(res), "audit_unavailable") {
				t.Errorf("%s answered %s", tool, text(res))
			}
		}
		if res := call(t, s, "duplicati_list_things", nil); res.IsError {
			t.Errorf("a read answered %s", text(res))
		}
		r.wantDid(t, "")
	})
}

func TestAnAssistantThatAsksAThousandTimesGetsFewCards(t *testing.T) {
	r := newRig(t, nil)
	s := r.stdio(t, toolstest.AnnsAssistant, "2026-07-28", nil)
	things, refused := []string{"1", "2", "3"}, 0
	for i := range 1000 {
		tool, args := "duplicati_destroy", map[string]any{"thing": things[i%3]}
		if i%2 == 1 {
			tool, args["word"] = "duplicati_set_word", "photos-passphrase"
		}
		if i%4 == 3 {
			args["server"], args["thing"] = "office", "1"
		}
		if res := call(t, s, tool, args); res.IsError {
			refused++
		}
	}
	var cards []string // what is destroyed has no word to set, so that comes last
	for _, a := range r.Heard.All() {
		switch {
		case slices.Contains(cards, a.ID):
		case a.Operation == "destroy":
			cards = append(cards, a.ID)
		default:
			cards = slices.Insert(cards, 0, a.ID)
		}
	}
	if len(cards) == 0 || len(cards) > 5 || refused == 0 {
		t.Errorf("%d cards, %d refused", len(cards), refused)
	}
	for _, id := range cards {
		if _, err := r.Decide(toolstest.BobAtTerminal, id, true); err != nil {
			t.Errorf("a card in between: %v", err)
		}
	}
	if n := len(r.World.Did()); n != len(cards) {
		t.Errorf("%d cards, done %v", len(cards), r.World.Did())
	}
}
