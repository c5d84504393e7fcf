// Package busguard keeps a program from starting a D-Bus session bus by
// accident.
//
// On Linux github.com/99designs/keyring connects to the session bus from an
// init function, and where there is no bus godbus runs dbus-launch, which
// leaves a dbus-daemon behind: at each start of the program, whatever keyring
// backend it is going to use. Importing this package turns that off where no
// bus is to be found; a bus that is there is used as before.
//
// It works because Go initialises packages in the order of their import paths
// as soon as all that they import is initialised: this one imports so little
// that its turn comes before godbus's. A test beside auth/keyring holds that
// order.
package busguard
