//go:build tools

// Package tools keeps etcd in go.mod: nothing else here imports it.
package tools

import _ "go.etcd.io/etcd/server/v3"
