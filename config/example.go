package config

import _ "embed"

// Example is a file with every setting, explained. What most people change is
// switched on.
//
//go:embed example.yaml
var Example string
