"""The campaign that stays: generated hostile input for every reader and command, each case in a child that is watched."""
