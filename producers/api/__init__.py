"""
The HTTP intake: `outdial api`.

`app.build` puts the parts together; each file is one part. Routes are thin: what a request asks for is done by
`producers.enqueue`, `producers.importing`, `producers.hooks` and the hopper.
"""
