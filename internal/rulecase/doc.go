// Package rulecase reads cases for rules and plays them: events in, firings out,
// time moved by hand. Cases stand beside the rules, in files *_test.yml:
//
//	cases:
//	  - name: both in time
//	    rules: [both]
//	    steps:
//	      - event: {type: com.acme.built, data: {sha: abc}}
//	      - advance: 30m
//	      - event: {type: com.acme.approved, data: {sha: abc}}
//	        expect:
//	          - rule: both
//	            run: {playbook: deploy.yml}
//
// [Read] reads them, [Case.Play] lets a rule set judge them by the evaluator that
// jet-bus uses, and says where a set did otherwise, and why. Nothing is run.
package rulecase
