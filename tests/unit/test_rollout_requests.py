"""Commands of other terminals, Ctrl-C and confirmations, on a simulated stack."""

from loadbalancer.rollout.control import Answer, Command, Reply, Request
from loadbalancer.rollout.errors import Ending
from tests.endings import TARGET, has_rolled_back
from tests.rollout import START, FakeEnvironment, FakeStack, resume, run, start


def test_pause_resume_promote_and_abort() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)

    def pause(environment: FakeEnvironment) -> None:
        environment.requests = [Request.PAUSE, *[None] * 500, Request.RESUME]

    environment.on["set 2"] = pause
    assert run(environment, start(stack, deadline="60s")) is Ending.REACHED
    assert stack.clock - START > 580
    assert environment.kinds().count("paused") == 1

    stack = FakeStack(rate=0)
    environment = FakeEnvironment(stack)
    for step in (1, 2, 3):
        environment.on[f"set {step}"] = lambda env: env.requests.append(Request.PROMOTE)
    assert run(environment, start(stack)) is Ending.REACHED
    assert "Step 2 was promoted without a good check (not checked yet): " in stack.messages()[-2]

    stack = FakeStack()
    environment = FakeEnvironment(stack)
    environment.on["set 1"] = lambda env: env.requests.append(Request.PROMOTE_FULL)
    assert run(environment, start(stack)) is Ending.REACHED
    assert [one.weights for one in stack.updates()[1:]] == [{"app1": 9, "app2": 1}, TARGET, TARGET]

    stack = FakeStack()
    environment = FakeEnvironment(stack)
    environment.on["set 2"] = lambda env: env.requests.append(Request.ABORT)
    assert run(environment, start(stack)) is Ending.ROLLED_BACK
    has_rolled_back(stack)
    assert "aborted from another terminal" in stack.messages()[-1]


def test_a_promotion_is_for_one_step() -> None:
    """A second one, sent before the first had its effect, is refused."""
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    late: list[Command] = []

    def twice(environment: FakeEnvironment) -> None:
        late.append(Command(Request.PROMOTE, "0123abcd", 1))
        environment.requests += [late[0], late[0]]

    environment.on["set 1"] = twice
    assert run(environment, start(stack)) is Ending.REACHED
    done, refused = environment.replies
    assert done == Reply(
        "step 1 of 3 (10%) was promoted without a good check (not checked yet), to the next step",
        done=True,
    )
    assert not refused.done
    assert "it is from step 1, and the rollout is at step 2 of 3 already" in refused.text
    assert "./lb rollout promote --stack dev" in refused.text
    assert environment.last_text("refused") == f"promote: {refused.text}"
    assert "Step 2 passed: " in stack.messages()[3]
    # It says that it was promoted with nothing to go by.
    assert "Step 1 was promoted without a good check (not checked yet)" in stack.messages()[2]


def test_commands_for_another_rollout_are_refused() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    environment.on["set 1"] = lambda env: env.requests.extend(
        Command(request, "99999999", 1) for request in Request
    )
    assert run(environment, start(stack)) is Ending.REACHED
    assert not any(reply.done for reply in environment.replies)
    assert len(environment.replies) == len(Request)
    assert "paused" not in environment.kinds()


def test_what_confirms_a_step_and_what_does_not() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    words: list[Request | Command | None] = [Request.RESUME, Request.PAUSE, Request.PROMOTE_FULL]
    environment.on["confirm"] = lambda env: env.requests.extend(words)
    assert run(environment, start(stack, confirm="2")) is Ending.REACHED
    assert [reply.done for reply in environment.replies] == [False, False, True]
    assert "step 2 of 3 (50%) waits for a confirmation: " in environment.replies[0].text
    assert [one.weights for one in stack.updates()[1:]] == [{"app1": 9, "app2": 1}, TARGET, TARGET]


def test_ctrl_c() -> None:
    for answer, ending in (
        (Answer.CONTINUE, Ending.REACHED),
        (Answer.HALT, Ending.HALTED),
        (Answer.ROLL_BACK, Ending.ROLLED_BACK),
    ):
        stack = FakeStack()
        environment = FakeEnvironment(stack)
        environment.on["set 2"] = lambda env, answer=answer: env.interruptions.append(answer)  # type: ignore[misc]
        assert run(environment, start(stack)) is ending
        if answer is Answer.HALT:
            assert stack.weights == stack.route == {"app1": 1, "app2": 1}
            assert resume(FakeEnvironment(stack)) is Ending.REACHED
            assert "Resumed by somebody@somewhere." in stack.messages()[3]


def test_confirmations_and_hooks() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack, answers=[True, False])
    assert run(environment, start(stack, confirm="2,3")) is Ending.ROLLED_BACK
    has_rolled_back(stack)
    assert "step 3 of 3 (100%) was rejected" in stack.messages()[-1]

    stack = FakeStack()
    environment = FakeEnvironment(stack)
    environment.on["confirm"] = lambda env: env.requests.append(Request.PROMOTE)
    assert run(environment, start(stack, confirm="2")) is Ending.REACHED

    for when, step in (("before", "1"), ("before", "2"), ("after", "1"), ("after", "3")):
        stack = FakeStack()
        environment = FakeEnvironment(stack, codes={(when, step): 7})
        assert run(environment, start(stack, hook="probe")) is Ending.ROLLED_BACK
        has_rolled_back(stack)
        assert f"the hook {when} step {step} of 3" in stack.messages()[-1]
        assert environment.hooks[-1]["ROLLOUT_STEP"] == step
        assert environment.hooks[-1]["ROLLOUT_BEFORE"] == "app1=100,app2=0"
