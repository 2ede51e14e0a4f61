"""
What a user wants and what it means. Pure: no I/O here, ever.

launch_config   the value: the fields that were given, in one canonical form
fields          every accepted field with its type; the only list of them; what DRS manages itself
types           the shapes of single values, each with the rule of AWS that it comes from
parse           JSON of a user -> LaunchConfig and every error at once
merge           group defaults and the override of a server -> effective launch config
conflicts       fields that cannot stand together, in one config and between the servers of a group
digest          what "applied" is measured by
group           a protection group's definition and its body
shape, errors   reading members of an object by their types; where an error stands and what it says
"""
