"""Names that Wyscout gives to events, sub-events and tags, and the order in which features hold them."""

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
"""One feature each."""

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
"""Sub-events that say more than their event type and nothing about a label; one feature each."""

CARD_FOULS = (
    "Protest",
    "Late card foul",
    "Time lost foul",
    "Out of game foul",
    "Simulation",
    "Violent Foul",
)
"""Fouls that are hardly ever logged without a card (95 to 99 %)."""

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
"""Tags that may become features, one each; no other tag leaves the reader except as a label."""

GOAL, OWN_GOAL = 101, 102

CARDS = {1702: "y-card", 1701: "r-card", 1703: "yr-card"}
"""Tag -> label."""
