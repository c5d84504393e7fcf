package main

import (
	"runtime/debug"
	"time"
)

// release is set when a release is built.
var release = ""

// version is the release, or the commit that this was built from.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "0-" + s.Value[:12]
		}
	}
	return "0-unknown"
}

func timeNow() time.Time { return time.Now() }
