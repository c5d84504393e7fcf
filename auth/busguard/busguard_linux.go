package busguard

import (
	"os"
	"strconv"
)

const address = "DBUS_SESSION_BUS_ADDRESS"

// godbus looks at the variable, then at this socket, and then runs
// dbus-launch (conn.go, getSessionBusAddress). "disabled:" is an address that
// no transport knows, so that connecting fails at once.
func init() {
	if set := os.Getenv(address); set != "" && set != "autolaunch:" {
		return
	}
	if _, err := os.Stat("/run/user/" + strconv.Itoa(os.Getuid()) + "/bus"); err == nil {
		return
	}
	os.Setenv(address, "disabled:")
}
