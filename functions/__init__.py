"""HTTP in: accounts, rooms, tickets. `app.build(services)` is all of it as one Starlette app."""
