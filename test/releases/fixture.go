package releases

import "time"

// Release is a release of a repository.
type Release struct {
	// Tag is its tag.
	Tag string
	// Flagged is what its author says: GitHub and Gitea keep that, GitLab does not.
	Flagged bool
	// Draft is a release that is not published yet: of GitLab, one that is announced
	// for later.
	Draft bool
	// Published is the day.
	Published time.Time
	// Files are what the release holds beside their checksums; nil means the program
	// tool.
	Files []Asset
	// Build tells apart what was published under the same tag, one after the other.
	Build int
}

// Fixture is a history of forty releases, in the order in which they were
// published: a line 1 that is kept up with backports while 2 and 3 are made,
// candidates that say what they are in their versions only, one that says so only
// by its flag, tags that hold no version, and drafts.
func Fixture() []Release {
	const flagged, draft = true, true
	history := []Release{
		{Tag: "v0.9.0-beta.1", Flagged: flagged},
		{Tag: "v0.9.0-beta.2", Flagged: flagged},
		{Tag: "v0.9.0"},
		{Tag: "v1.0.0-alpha.1", Flagged: flagged},
		{Tag: "v1.0.0-beta.1", Flagged: flagged},
		{Tag: "v1.0.0-rc.1", Flagged: flagged},
		{Tag: "v1.0.0-rc.2"}, // only its version says so
		{Tag: "v1.0.0"},
		{Tag: "v1.0.1"},
		{Tag: "v1.1.0-rc.1", Flagged: flagged},
		{Tag: "v1.1.0"},
		{Tag: "v1.1.1"},
		{Tag: "1.1.2"},
		{Tag: "v1.2.0-rc.1", Flagged: flagged},
		{Tag: "v1.2.0"},
		{Tag: "v1.2.1"},
		{Tag: "v1.3.0"},
		{Tag: "v1.9.0"},
		{Tag: "v1.10.0"},
		{Tag: "v1.10.1"},
		{Tag: "v2.0.0-beta.2", Flagged: flagged},
		{Tag: "v2.0.0-beta.9", Flagged: flagged},
		{Tag: "v2.0.0-beta.10", Flagged: flagged},
		{Tag: "v2.0.0-rc.1", Flagged: flagged},
		{Tag: "v2.0.0-rc.2", Flagged: flagged},
		{Tag: "v2.0.0"},
		{Tag: "v1.10.2"}, // a backport
		{Tag: "v2.0.1"},
		{Tag: "v2.1.0-rc.1", Flagged: flagged},
		{Tag: "v2.1.0"},
		{Tag: "v2.1.1"},
		{Tag: "v2.2.0", Flagged: flagged}, // only its flag says so
		{Tag: "winter-2025"},
		{Tag: "v3.0.0-alpha.1", Flagged: flagged},
		{Tag: "v3.0.0-alpha.2", Flagged: flagged},
		{Tag: "v2.1.2"}, // a backport
		{Tag: "nightly", Flagged: flagged},
		{Tag: "v1.10.3"}, // a backport
		{Tag: "v2.3.0", Draft: draft},
		{Tag: "v9.0.0", Draft: draft},
	}
	for i := range history {
		history[i].Published = time.Date(2025, 1, 1+7*i, 9, 30, 0, 0, time.UTC)
	}
	return history
}

// Until returns the history up to a tag, as it was when that was published. It
// panics if there is none.
func Until(history []Release, tag string) []Release {
	for i, r := range history {
		if r.Tag == tag {
			return history[:i+1]
		}
	}
	panic("no release " + tag)
}

// Shared is the history of a repository that holds several things.
func Shared() []Release {
	history := []Release{
		{Tag: "app/v1.2.3"},
		{Tag: "lib/v9.0.0"},
		{Tag: "app/v1.10.0"},
		{Tag: "app/v2.0.0-rc.1", Flagged: true},
		{Tag: "lib/v9.1.0"},
	}
	for i := range history {
		history[i].Published = time.Date(2025, 3, 1+i, 9, 30, 0, 0, time.UTC)
	}
	return history
}
