package main

import "testing"

func TestSemanticVersion(t *testing.T) {
	for python, want := range map[string]string{
		"5.2.0":            "5.2.0",
		"1":                "1.0.0",
		"1.0":              "1.0.0",
		"1.2.3a4":          "1.2.3-alpha.4",
		"1.2.3b4":          "1.2.3-beta.4",
		"1.2.3rc4":         "1.2.3-rc.4",
		"1.2.3.post4":      "1.2.3+post4",
		"1.2.3.dev5":       "1.2.3+dev5",
		"1.2a1.post2.dev":  "",
		"1.2.3.post4.dev5": "1.2.3+post4dev5",
		"1!1.2.3":          "",
		"1.2.3+local":      "",
		"":                 "",
	} {
		got, ok := semanticVersion(python)
		if got != want || ok != (want != "") {
			t.Errorf("semanticVersion(%q) is %q, %t; not %q", python, got, ok, want)
		}
	}
}
