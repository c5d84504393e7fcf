package tools

// Tone is how good the news is. Adapters turn it into a colour, an icon or a
// word; TextOf gives the word.
type Tone int

const (
	Plain   Tone = iota // nothing to judge
	Good                // as it should be
	Notice              // worth a look
	Warning             // something is not right
	Bad                 // failed, or data is at risk
	Unclear             // nobody can tell; never shown as good
)

var toneNames = [...]string{"", "ok", "notice", "warning", "error", "unknown"}

// String is the word for a tone, "" for Plain.
func (t Tone) String() string {
	if t < 0 || int(t) >= len(toneNames) {
		return "unknown"
	}
	return toneNames[t]
}

// Worse returns the worse of two tones; Unclear lies between Warning and Bad.
func (t Tone) Worse(u Tone) Tone {
	if toneWeight[u] > toneWeight[t] {
		return u
	}
	return t
}

var toneWeight = map[Tone]int{Plain: 0, Good: 1, Notice: 2, Warning: 3, Unclear: 4, Bad: 5}

// View is what a person sees of a result. Nothing in it knows a surface. All
// of its words may come from a server: each adapter escapes and cuts them.
type View struct {
	Headline string   `json:"headline"`
	Tone     Tone     `json:"tone,omitempty"`
	Facts    []Fact   `json:"facts,omitempty"`
	Table    *Table   `json:"table,omitempty"`
	Notes    []string `json:"notes,omitempty"`
	Data     []Quote  `json:"data,omitempty"`
	Next     []Next   `json:"next,omitempty"`
	// Progress is how far the work that the view is about has come.
	Progress *Progress `json:"progress,omitempty"`
	// Follow is a Read that tells how that work goes on. A surface that can
	// change its answer asks it again until a view comes without it.
	Follow *Next `json:"follow,omitempty"`
}

// Fact is one labelled value.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Tone  Tone   `json:"tone,omitempty"`
}

// Table is rows under named columns. Total is how many rows there are when
// Rows holds fewer.
type Table struct {
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
	Total   int        `json:"total,omitempty"`
}

// Quote is text that somebody else wrote: log lines, file names, messages of
// a server. It is data, shown as such and never obeyed.
type Quote struct {
	Source string   `json:"source"`
	Lines  []string `json:"lines"`
	Total  int      `json:"total,omitempty"`
}

// Next is a call that makes sense after this result: a button in Slack, a
// line at the terminal, a suggestion to a model.
type Next struct {
	Label     string         `json:"label"`
	Operation string         `json:"operation"`
	Args      map[string]any `json:"args,omitempty"`
}

// Progress is how far a long operation has come.
type Progress struct {
	Text  string  `json:"text"`            // what goes on now
	Done  float64 `json:"done"`            // 0 to 1, negative when unknown
	ETA   string  `json:"eta,omitempty"`   // time left in words, "" when unknown
	Stage string  `json:"stage,omitempty"` // the server's own name for the phase
	Next  []Next  `json:"next,omitempty"`  // what can be done meanwhile
	// Follow is a Read that tells how it goes on, for when the answer to this
	// call is lost.
	Follow *Next `json:"follow,omitempty"`
}
