package rules

// StateSet returns the set that a state is of.
func StateSet(st *State) *Set { return st.set }
