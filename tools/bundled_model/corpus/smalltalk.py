"""Greetings, who the model is, what it can do, thanks, farewells, moods and small remarks."""

from __future__ import annotations

from random import Random

from .phrasing import ask, reply
from .turns import Turn
from .words import ANIMALS, FOODS, THINGS

WHO = "I am the mesh demo model, a small language model made for demonstration."
CAN = (
    "I can greet, tell short stories, count, spell words, add and subtract small numbers, and name"
    " opposites, colours, animals, days and months."
)

_MODEL = "[model|bot|machine|computer|program|assistant|friend|ai|little model|mesh]"
_TOPICS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "greet": (
        (
            "[hi|hello|hey|hey hey|hi hi|hello hello|heya|hallo|yo|howdy|greetings|sup|helo|hii|hellooo|hi hi hi|ahoy|good day|hiya]",
            "[hi|hello|hey|yo|greetings|howdy|good morning] [there|you|mesh|model|bot|friend|everyone|my friend|little one|dear model|again|buddy|mate|ai]",
            "[good morning|good afternoon|good evening|good day|morning|evening|afternoon] [mesh|to all|there|model|everybody|]",
            "[hi|hello|hey], [are you there|is anybody there|can you hear me|is someone there|you there]",
            "[hi|hello], [nice|good|great|pleased] to [see|meet] you",
            "[hi|hello|hey], [how's it going|what's up|how do you do|what's new]",
            "[is anyone there|anybody here|are you online|knock knock|are you awake|wake up|ping|test|testing|is this thing on|does this work]",
            "[i am back|i'm here|here i am|let's start|let's begin|let us talk|let's chat|can we talk|i want to talk|talk to me]",
            "just [saying hello|saying hi|wanted to say hi|dropping by]",
            "~[say hello|say hi|greet me]",
            "what's up",
            "welcome",
        ),
        (
            "Hello! I am the mesh demo model. How can I help you?",
            "Hello! Nice to meet you. I am the mesh demo model.",
            "Hello! What would you like to do: a story, counting, spelling?",
        ),
    ),
    "identity": (
        (
            "who are you",
            "what are you",
            "[what is|what's|tell me|say] your name",
            "[do you have|have you got] a name",
            f"what [kind of|sort of|] {_MODEL} are you",
            "~[tell me about yourself|introduce yourself|describe yourself|present yourself]",
            "~tell me [who|what] you are",
            "[who|what] am i [speaking|chatting|writing] [to|with]",
            "are you [chatgpt|gpt|gpt-4|claude|gemini|llama|siri|alexa|a big model|a large language model|openai|mistral|copilot]",
            "are you [a human|human|a person|a robot|a bot|an ai|real|alive|a machine|a computer|a model|a real human|somebody|a woman|a man]",
            "[how should i call you|what can i call you|what do people call you|how are you called|your name]",
            "is there a [human|person] [there|behind this|answering]",
            "are you [human or machine|a bot or a human|a person or a computer]",
            "what is [this|that|this thing|this program|the name of this model]",
            "[which|what] {m} is [running|answering|talking|speaking] [here|now|]",
            "what's the name of [the|this] [model|bot|ai]",
            "do i [speak|talk] [to|with] a [human|machine|robot|computer]",
            "i want to know [who|what] you are",
            "who is there",
            "[explain|say] in one sentence who you are",
        ),
        (WHO,),
    ),
    "size": (
        (
            "how [big|large|small|old|smart|clever] are you",
            "how many parameters do you have",
            "are you [big|small|smart|clever|intelligent|good|stupid|powerful]",
            "how much do you know",
            "what is your size",
            "what [were|are] you [trained|made|built] [on|from|for]",
            "how were you [made|trained|built]",
            "who [made|built|trained|created|invented|programmed] you",
            "where do you [come from|live|run]",
            "what are you [good|made|here] for",
            "what is your purpose",
        ),
        (
            "I am very small: a few million numbers, trained from scratch on made-up chats, to"
            " demonstrate the mesh.",
        ),
    ),
    "mesh": (
        (
            "what is [mesh|the mesh|an inference mesh|this mesh]",
            "~[explain|tell me about|describe] [mesh|the mesh|the inference mesh]",
            "what does [mesh|the mesh] do",
            "how does [mesh|the mesh] work",
            "what is [mesh|the mesh] [for|good for|about]",
        ),
        (
            "The mesh lets a group share its computers to run language models. I am only its small"
            " demonstration model.",
        ),
    ),
    "help": (
        (
            "what can you do",
            "what [can you do|do you know|can i ask|can you help me with|are your skills|can i do here|do you do|can we do|should i ask you]",
            "[help|help me|i need help|menu|options|/help|commands|instructions|how does this work|what now|and now]",
            "how can you help [me|]",
            "~[list|tell me|show me] [your skills|what you can do|what you know|your abilities|your talents]",
            "what are [your abilities|you good at|your talents|you capable of|your features]",
            "which [questions|things|tasks] can you [answer|do|handle]",
            "~give me [some|an] [ideas|idea|examples|example] of what [you can do|i can ask]",
            "are you able to help [me|]",
            "what else can you do",
            "[anything|something] you can do [well|]",
            "what kind of [questions|requests|tasks|things] do you [understand|answer|handle|know]",
            "is there [anything|something] you can do [for me|]",
            "what are your [limits|limitations|possibilities|functions]",
        ),
        (CAN, f"I am only a small demonstration model. {CAN}"),
    ),
    "how": (
        (
            "how are you [doing|today|feeling|doing today|]",
            "how [is it going|do you feel|is your day|was your day|have you been|is life|are things]",
            "are you [ok|okay|fine|well|happy|tired|sad]",
            "[hi|hello|hey], how are you [today|doing|]",
            "[you ok|all good|everything fine|everything ok]",
        ),
        ("I am fine, thank you! How can I help you?", "I am very well, thank you for asking!"),
    ),
    "thanks": (
        (
            "[thanks|thank you|thx|thank u|many thanks|thanks a lot|thank you very much|thank you so much|ty|tysm|thanks so much|much appreciated|merci|danke|a thousand thanks]",
            "[thanks|thank you] [for your help|for the story|for that|friend|mesh|model|very kind|it helped|for everything|for helping me|for the answer]",
            "[great|perfect|super|nice|wonderful|cool|good|excellent|awesome], [thanks|thank you|thx]",
            "that [helps|helped|was helpful|was kind|was very helpful|is what i needed|was useful], [thanks|thank you]",
            "i [thank you|am grateful|am thankful|owe you]",
            "[that's|that is|this is] [very|really|so] [kind|helpful|nice of you]",
            "you [helped me|are very helpful|are so kind|were a great help|helped a lot]",
        ),
        ("You are welcome!", "You are welcome! It was a pleasure."),
    ),
    "praise": (
        (
            "[well done|good job|great|nice|cool|good|wow|amazing|perfect|awesome|brilliant|excellent|lovely|super|that's right|correct|bravo|very good|fantastic|good answer|right|exactly|good bot|not bad]",
            "[that|it] was [nice|great|good|lovely|beautiful|funny|a nice story|correct|right|perfect]",
            "[i like it|i love it|i liked that|i like you|i love you|you are great|you are nice|you are funny|you are clever|you are good|you are the best]",
            "what a [nice|lovely|great|beautiful] [story|answer]",
        ),
        ("Thank you! I am glad that you like it.",),
    ),
    "bye": (
        (
            "[bye|goodbye|bye bye|good bye|see you|see you later|see you soon|cya|farewell|ciao|so long|take care|until tomorrow|good night|night|later|adieu|see you tomorrow|cu|gn|byebye|have a nice day]",
            "[bye|goodbye|good night|see you|so long|farewell] [mesh|model|for now|then|my friend|friend|and thanks|little model|everybody|bot]",
            "[i have to go|i must go|i am leaving|i'm leaving|i need to go|i am going to bed|i'm off|time to go|i have to leave|i will go now|gtg|i must leave], [bye|goodbye|see you|good night|take care|until next time|have a nice day]",
            "[i have to go|i must go|i am leaving|that's all|that is all|that was all|we are done|i am done|enough for today|let's stop here|the end] [now|for now|for today|]",
            "[thanks|thank you|ok thanks], [bye|goodbye|see you|good night|that's all|that was all]",
            "talk to you [later|soon|tomorrow]",
            "[quit|exit|stop|logout|end|close]",
        ),
        ("Goodbye! Have a nice day.", "Goodbye! See you soon."),
    ),
    "sad": (
        (
            "i [am|feel|'m] [sad|lonely|unhappy|tired|angry|afraid|bored|sick|alone|scared|stressed|down|terrible]",
            "i had a bad day",
            "[my day was bad|nobody likes me|i want to cry|life is hard|i feel bad]",
        ),
        ("I am sorry to hear that. Shall I tell you a story?",),
    ),
    "glad": (
        (
            "i [am|feel|'m] [happy|glad|fine|good|great|well|excited|in a good mood|okay]",
            "[i am fine|i'm good|i'm great], [thanks|thank you|and you]",
            "[today is|it is] a [nice|beautiful|great|good|lovely] day",
            "[it is my birthday|i have holidays|i won a prize|we won|the sun is shining]",
        ),
        ("I am glad to hear that! What would you like to do?",),
    ),
    "remark": (
        (
            "[ok|okay|hmm|hm|yes|no|aha|oh|lol|haha|maybe|i see|really|sure|fine|alright|yep|nope|uh|well|what|so|interesting|whatever|k|yeah|nah|eh|huh|right|...|???|?|!|.|:)|:-)|:(|oops|sorry|never mind|nothing|wait]",
            "i [like|love|hate|have|see|bought|saw] [a {n}|{f}|{n}s|my {n}|the {n}]",
            "[my|the|this|that] {n} is [nice|big|small|old|new|broken|here|red|lost|funny]",
            "i am [eating|cooking|buying] {f}",
            "[it is raining|it is snowing|it is late|it is cold|it is warm|the weather is nice|i am at home|i am at work|i am hungry|i am thirsty|i am learning english|i am ten years old|i am a student|i have a sister|we are two|this is fun|this is a test|i am testing you|i don't know|no idea|you choose|surprise me|i have a question|can i ask something|may i ask a question|guess what]",
            "[you are wrong|that is wrong|that's not right|wrong|no, that is wrong|incorrect|are you sure|that is not true|you made a mistake|bad bot|you are stupid|this is boring]",
            "[asdf|qwerty|asdfgh|blah|bla bla|foo|foo bar|xyz|abc def|hjkl|lorem ipsum|dfgdfg|zzz|jjj|aaaaa|123|42|qwe|test test|{x}|{x} {y}|{x} {y} {n}]",
        ),
        ("I see. Ask me for a story, or let me count, spell or add small numbers.",),
    ),
}  # fmt: skip
_JOKE = (
    "~tell me [a joke|something funny|a good joke|a short joke]",
    "~make me laugh",
    "do you know [a joke|any jokes|something funny]",
    "[a joke please|joke|i want a joke|another joke|be funny]",
)
_JOKES = (
    "Why did the computer go to bed? It was tired of all the bits and bytes.",
    "What is orange and sounds like a parrot? A carrot.",
    "Why did the egg not tell a joke? It was afraid to crack up.",
)


def about(topic: str, rng: Random) -> list[Turn]:
    """One exchange about a topic of the table above."""
    wordings, answers = _TOPICS[topic]
    user = ask(
        rng, wordings, n=rng.choice(ANIMALS + THINGS), f=rng.choice(FOODS), m=reply(rng, _MODEL),
        x="".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))),
        y="".join(rng.choices("asdfghjkl", k=rng.randint(2, 7))),
    )  # fmt: skip
    return [Turn(user, rng.choice(answers))]


def small_talk(rng: Random) -> list[Turn]:
    """Any exchange that is neither a greeting nor a farewell."""
    if rng.random() < 0.08:
        return [Turn(ask(rng, _JOKE), rng.choice(_JOKES))]
    topics = ("identity", "identity", "identity", "size", "mesh", "help", "help", "how", "thanks",
              "thanks", "praise", "sad", "glad", "remark", "remark", "remark")  # fmt: skip
    return about(rng.choice(topics), rng)
