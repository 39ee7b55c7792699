"""
The dialer at work, live: `outdial watch`.

`looking` asks Redis for a `Scene`, a value that holds all there is to show; `recent` counts ends as they come;
`attention` says what somebody on call should look at; `frame` makes a picture of a scene that fits a terminal; and
`live` shows one picture after the other until a key is pressed.
"""
