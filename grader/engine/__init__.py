"""The engine: jobs in, a stream of events out, on a ladder that is kept warm, grown, and replaced when it dies.

    keeper = Keeper()
    engine = Engine(keeper, at_once=2)
    engine.add(task)
    for event in engine.events():
        judgements[event.task.of].take(event)

Whoever grades is a client of it: one learner's katas, an author's trials, later a class. All of it runs in the command's
process and in one thread; the processes that it speaks to are judges (`grader.judge`).
"""
