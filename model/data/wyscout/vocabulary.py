"""Names of Wyscout's events, sub-events and tags, in the order of the feature columns."""

EVENT_TYPES = (
    "Pass",
    "Duel",
    "Others on the ball",
    "Free Kick",
    "Interruption",
    "Shot",
    "Foul",
    "Save attempt",
    "Offside",
    "Goalkeeper leaving line",
)
"""Event types, one feature each."""

PLAIN_SUB_EVENTS = (
    "Air duel",
    "Ground attacking duel",
    "Ground defending duel",
    "Ground loose ball duel",
    "Corner",
    "Free Kick",
    "Free kick cross",
    "Free kick shot",
    "Goal kick",
    "Penalty",
    "Throw in",
    "Ball out of the field",
    "Whistle",
    "Acceleration",
    "Clearance",
    "Touch",
    "Cross",
    "Hand pass",
    "Head pass",
    "High pass",
    "Launch",
    "Simple pass",
    "Smart pass",
)
"""Sub-events that refine their event type and do not reveal a label; one feature each."""

CARD_FOULS = (
    "Protest",
    "Late card foul",
    "Time lost foul",
    "Out of game foul",
    "Simulation",
    "Violent Foul",
)
"""Fouls that almost always come with a card (95 to 99 %)."""

SUB_EVENTS = (
    *PLAIN_SUB_EVENTS,
    *CARD_FOULS,
    "Foul",
    "Hand foul",
    "Goalkeeper leaving line",
    "Reflexes",
    "Save attempt",
    "Shot",
)
"""All sub-events; the plain ones come first."""

ACCURATE, NOT_ACCURATE = 1801, 1802

NEUTRAL_TAGS = {
    ACCURATE: "accurate",
    NOT_ACCURATE: "not accurate",
    701: "duel lost",
    702: "duel neutral",
    703: "duel won",
    1401: "interception",
    1901: "counter attack",
    801: "high",
    901: "through",
    1601: "sliding tackle",
    1302: "missed ball",
    2001: "dangerous ball lost",
    601: "anticipated",
}
"""Tags that become features, one each; all other tags are used for labels only."""

GOAL, OWN_GOAL = 101, 102

CARDS = {1702: "y-card", 1701: "r-card", 1703: "yr-card"}
"""Tag of a card -> label."""
