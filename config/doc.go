// Package config turns one YAML file into one checked struct.
//
// The file says who may do what, and where passwords are sent. So it is read
// strictly: an unknown key, a key that stands twice, a value of another kind,
// a secret in the place of a reference to one, and a file that somebody else
// could write are errors. [Load] finds all that is wrong at once, each with
// its line, and repeats no value of the file: what stands in the wrong place
// may be a secret. That is also why the file is decoded here, from the syntax
// tree: the messages of a YAML decoder quote the lines around an error.
//
// The environment says where the file is (DUPLIBOT_CONFIG) and holds secrets
// that the file refers to by name. It cannot change anything else.
//
// Without a file there is [Default]: the Duplicati server of this host, and
// this account as the only person.
//
// What can be judged by the file alone is judged here. The rules of policy
// are checked against the operations by tools.NewPolicy, references are
// resolved by whoever needs the secret, and the world is what doctor asks.
package config
