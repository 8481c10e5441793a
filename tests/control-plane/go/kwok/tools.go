//go:build tools

// Package tools keeps the kwok controller in go.mod: nothing else here imports it.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"
