package duplicatitest

import (
	"fmt"
	"strings"
)

// generation holds everything in which the four lines of servers differ. Code
// asks it, and never compares versions.
type generation struct {
	name     string // as Options takes it
	version  string // ServerVersion
	fullName string // ServerVersionName
	kind     string // ServerVersionType
	engine   string // Version in results
	aesName  string // CREATED_BY of exports

	nonce         bool // refresh nonces, cookies for short sessions too, auth/status, PreAuth
	clearingPath  bool // the clearing cookie carries domain and path of the real one
	v2            bool // the v2 API, skipqueue, task times, websocket subscriptions
	masks         bool // GET backup/{id} hides secrets
	placeholder   string
	replaces      bool // import heeds replace_settings
	connections   bool // connection strings, additional targets, temp-disk-space
	brokenFiles   bool // list/purge-broken-files, delete-versions, destination/list
	syncMode      bool // OperationType, restore-task-config
	locks         bool // DatabaseLocked while a task of the backup runs
	hangs         bool // listing versions (v1) of a running backup wedges the run
	listWaits     bool // v2 listings during a run wait for its end
	helpIDs       bool // user-information errors are 400 with a HelpId
	failsTruly    bool // a task that failed says Failed
	guardsDelete  bool // DELETE of a running backup is refused
	headOfQueue   bool // run always goes to the head of the queue
	negativePause bool // a negative pause is for ever, not an error
	taskTimes     bool // TaskStarted and TaskFinished
	taskStates    bool // GET tasks is a list of TaskState
	stopVerb      bool // stop, and not stopaftercurrentfile and stopnow
	stripsExport  bool // exports without passwords lose auth-password in URLs
	doubledDays   bool // AllowedDays are read back twice
	refusesDays   bool // full names of days are refused
	addsModified  bool // files that have changed are counted as added
	dismisses     bool // a clean run dismisses the backup's notifications
	relativeDB    bool // DBPath in exports is relative to the data folder
	escapesDot    bool // the export's file name encodes its dot
	readsSetting  bool // serversetting/{key} knows every row, not only the options
	nullSetting   bool // an unknown serversetting is null, not 404
	checksUpdates bool // update-check-interval is checked
	missingSource bool // a missing source folder fails the run instead of a warning
	interrupted   bool // a stopped run says Interrupted, an aborted one Error
	abortLogs     bool // an aborted run leaves a log row
	warnsOptions  bool // options that the target's module does not know are warnings
	sourcesEmpty  bool // Sources is [] in the list, not null
	workerLog     bool // a failed run is logged by the worker too
	pauseZone     bool // EstimatedPauseEnd unset ends in Z
	sizeUnit      string
}

var generations = []generation{
	{
		name: "2.1", version: "2.1.0.5", fullName: " - 2.1.0.5_stable_2025-03-04", kind: "stable",
		engine: "2.1.0.5 (2.1.0.5_stable_2025-03-04)", aesName: "SharpAESCrypt v2.1.0.5",
		placeholder: "**********", headOfQueue: true, stripsExport: true, doubledDays: true,
		refusesDays: true, escapesDot: true, missingSource: true, sizeUnit: "B",
	},
	{
		name: "2.2", version: "2.2.0.3", fullName: "2.2.0.3 - 2.2.0.3_stable_2026-01-06", kind: "stable",
		engine: "2.2.0.3 (2.2.0.3_stable_2026-01-06)", aesName: "SharpAESCrypt v2.2.0.3",
		nonce: true, v2: true, placeholder: "**********", listWaits: true, helpIDs: true,
		failsTruly: true, doubledDays: true, dismisses: true, guardsDelete: true, negativePause: true, taskTimes: true, taskStates: true,
		stopVerb: true, stripsExport: true, missingSource: true, abortLogs: true, warnsOptions: true,
		workerLog: true, pauseZone: true, sizeUnit: "iB",
	},
	{
		name: "2.3.0", version: "2.3.0.4", fullName: "2.3.0.4 - 2.3.0.4_stable_2026-07-09", kind: "stable",
		engine: "2.3.0.4 (2.3.0.4_stable_2026-07-09)", aesName: "SharpAESCrypt v2.3.0.4",
		nonce: true, v2: true, masks: true, placeholder: "***************", replaces: true,
		connections: true, addsModified: true, dismisses: true, hangs: true, listWaits: true, helpIDs: true, failsTruly: true,
		guardsDelete: true, negativePause: true, taskTimes: true, taskStates: true, stopVerb: true,
		readsSetting: true, missingSource: true, abortLogs: true, warnsOptions: true, sourcesEmpty: true,
		workerLog: true, pauseZone: true, sizeUnit: "iB",
	},
	{
		name: "2.3.1", version: "1.0.0.0", fullName: "1.0.0.0", kind: "Stable",
		engine: "1.0.0.0 (Current)", aesName: "SharpAESCrypt v2.0.3.0",
		nonce: true, clearingPath: true, v2: true, masks: true, placeholder: "***************",
		replaces: true, connections: true, dismisses: true, brokenFiles: true, syncMode: true, locks: true,
		helpIDs: true, failsTruly: true, guardsDelete: true, negativePause: true, taskTimes: true,
		taskStates: true, stopVerb: true, relativeDB: true, readsSetting: true, nullSetting: true,
		checksUpdates: true, interrupted: true, abortLogs: true, warnsOptions: true, sourcesEmpty: true,
		workerLog: true, pauseZone: true, sizeUnit: "iB",
	},
}

// Generations lists the names that Options.Generation takes, oldest first.
func Generations() []string {
	var names []string
	for _, g := range generations {
		names = append(names, g.name)
	}
	return names
}

// findGeneration takes a name, a longer version of that line, or "" for the
// newest.
func findGeneration(name string) (*generation, error) {
	if name == "" {
		name = "2.3.1"
	}
	for i, g := range generations {
		if name == g.name || strings.HasPrefix(name, g.name+".") || strings.HasPrefix(name, g.name+"-") {
			return &generations[i], nil
		}
	}
	return nil, fmt.Errorf("no Duplicati generation %q; there are %s", name, strings.Join(Generations(), ", "))
}
