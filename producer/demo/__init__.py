"""The main job on real input: real processes, the real door, a stand-in for AWS. No figure here is made up."""
