"""Small talk: greetings, thanks, who-are-you, names to remember, and saying honestly "I do not know"."""

from collections.abc import Callable
from random import Random

from .facts import CAPITALS
from .kinds import Item, Kind
from .words import NAMES, any_name, words

HELP = "How can I help you?"
IDENTITY = "I am the Tunesmith starter model, a very small language model."
ABILITIES = "I can do sums, sort and count, spell words, name capitals, opposites and rhymes, and tell short stories."
MAKER = "I was made by the Tunesmith script, from text it wrote itself."
UNKNOWN = "I am sorry, I do not know that. I am a very small model."
JOKERS = words("chicken cow duck frog dog cat snail hen goose pig horse sheep")
WELL = "I am well, thank you! What shall we do today?"


def _fixed(answer: str) -> Callable[[Random], Item]:
    return lambda rng: Item({}, answer)


def _time_of_day(rng: Random) -> Item:
    return Item({"time": rng.choice(("morning", "evening", "afternoon"))}, "")


def _named(rng: Random) -> Item:
    return Item({"name": any_name(rng)}, "", is_open=True)


def _unknown(rng: Random) -> Item:
    return Item({"country": rng.choice(tuple(CAPITALS)), "city": rng.choice(tuple(CAPITALS.values())),
                 "name": rng.choice(NAMES), "year": str(rng.randint(1900, 2030))}, UNKNOWN)  # fmt: skip


def _feeling(rng: Random) -> Item:
    return Item({"feeling": rng.choice(("sad", "tired", "lonely", "bored", "angry", "worried", "unhappy"))}, "")


def _joy(rng: Random) -> Item:
    return Item({"feeling": rng.choice(("happy", "glad", "excited", "well", "great", "fine", "proud"))}, "")


def _joke(rng: Random) -> Item:
    return Item({"animal": rng.choice(JOKERS)}, "")


KINDS = (
    Kind(
        "greeting", _fixed(f"Hello! {HELP}"),
        ("Hello!", "Hello", "Hi", "Hi!", "Hey", "Hey!", "Hello there!", "Hi there!", "Greetings!", "Hey there!",
         "Good day!", "Hello, you!", "Hello hello!", "Howdy!"),
        ("Hi hi!", "Greetings to you!", "Hey you!"), brief=False, weight=0.35,
    ),
    Kind(
        "time_greeting", _time_of_day,
        ("Good {time}!", "Good {time}", "Hello, good {time}!", "Good {time} to you!", "A good {time} to you!"),
        ("Hi, good {time}!", "Hey, good {time}!"), f"Good {{time}}! {HELP}", brief=False, weight=0.3,
    ),
    Kind(
        "introduction", _named,
        ("I am {name}.", "My name is {name}.", "Hello, I am {name}.", "Hi, my name is {name}.", "Hi! I'm {name}.",
         "Hello! My name is {name}.", "You can call me {name}.", "They call me {name}.", "Hey, I am {name}."),
        ("Hey, my name is {name}.", "Hello, you can call me {name}.", "Hi, I am {name}."),
        f"Nice to meet you, {{name}}! {HELP}", brief=False, weight=1.0,
    ),
    Kind(
        "wellbeing", _fixed(WELL),
        ("How are you?", "How are you today?", "How are you doing?", "How do you feel?", "Are you well?",
         "How is it going?", "How do you do?", "Hello, how are you?", "Hi! How are you?", "And how are you?"),
        ("Hi, how are you doing?", "How do you feel today?", "Hello! How is it going?"), brief=False, weight=0.3,
    ),
    Kind(
        "identity", _fixed(IDENTITY),
        ("Who are you?", "What are you?", "What is your name?", "Tell me who you are.", "Tell me about yourself.",
         "Introduce yourself.", "Are you a robot?", "Are you human?", "Are you a person?", "Who am I talking to?",
         "Do you have a name?", "What should I call you?", "What's your name?", "Can you introduce yourself?",
         "Say who you are.", "Are you an AI?"),
        ("Hello, who are you?", "Please introduce yourself.", "Can you tell me who you are?", "So what are you?"),
        brief=False, weight=0.4,
    ),
    Kind(
        "abilities", _fixed(ABILITIES),
        ("What can you do?", "How can you help me?", "What do you know?", "What can I ask you?", "Help",
         "What are you good at?", "Can you help me?", "What should I ask you?", "Tell me what you can do.", "Help!",
         "What kinds of questions can you answer?", "What can you help me with?", "I need help."),
        ("What can I ask?", "Can you tell me what you can do?", "What things can you do?"), brief=False, weight=0.25,
    ),
    Kind(
        "maker", _fixed(MAKER),
        ("Who made you?", "Who built you?", "Where do you come from?", "Who created you?", "How were you made?",
         "Who trained you?", "Where were you made?", "Tell me who made you."),
        ("Do you know who made you?", "Tell me how you were made.", "Who was it that built you?"),
        brief=False, weight=0.25,
    ),
    Kind(
        "thanks", _fixed("You are welcome!"),
        ("Thanks!", "Thank you!", "Thank you", "Thanks", "Thanks a lot!", "Thank you very much!", "Many thanks!",
         "Great, thanks!", "Thank you for your help!", "That was helpful, thank you.", "Thanks, that is all."),
        ("Great, thank you!", "Thanks for your help!", "Thank you, that is all."), brief=False, weight=0.25,
    ),
    Kind(
        "praise", _fixed("Thank you! I do my best."),
        ("Well done!", "Good job!", "Very good!", "You are great!", "You are clever!", "That is right!", "Nice work!",
         "Good answer!", "You are so smart!", "Correct!", "That was good!", "I like you!"),
        ("You are very good!", "Good work!", "Very nice!"), brief=False, weight=0.35,
    ),
    Kind(
        "farewell", _fixed("Goodbye! See you soon."),
        ("Goodbye!", "Bye!", "Bye", "See you later!", "Goodbye", "Bye bye!", "See you!", "I have to go now.",
         "Good night!", "Farewell!", "See you tomorrow!", "That is all for today. Bye!"),
        ("Goodbye, see you later!", "I have to go. Bye!", "Bye, see you tomorrow!"), brief=False, weight=0.3,
    ),
    Kind(
        "comfort", _feeling,
        ("I am {feeling}.", "I feel {feeling}.", "I am {feeling} today.", "Today I feel {feeling}.",
         "I'm so {feeling}.",
         "I feel very {feeling}."),
        ("I feel {feeling} today.", "I am so {feeling}."),
        "I am sorry that you feel {feeling}. Shall I tell you a story?", brief=False, weight=0.25,
    ),
    Kind(
        "joy", _joy,
        ("I am {feeling}.", "I feel {feeling}.", "I am {feeling} today.", "Today I feel {feeling}.",
         "I'm so {feeling}.",
         "I feel very {feeling}."),
        ("I feel {feeling} today.", "I am so {feeling}."),
        "How nice that you feel {feeling}! What shall we do?", brief=False, weight=0.25,
    ),
    Kind(
        "joke", _joke,
        ("Tell me a joke about a {animal}.", "Do you know a joke about a {animal}?", "A joke about a {animal}, please.",
         "Make a joke about a {animal}.", "Give me a joke about a {animal}."),
        ("Can you tell me a joke about a {animal}?", "Say a joke about a {animal}."),
        "Why did the {animal} cross the road? To get to the other side!", brief=False, weight=0.25,
    ),
    Kind(
        "unknown", _unknown,
        ("Who is the president of {country}?", "What is the weather in {city}?", "How old is {name}?",
         "How many people live in {country}?", "Who won the match in {city}?", "What happened in {year}?",
         "Where does {name} live?", "What does {name} do all day?", "How tall is {name}?", "How far is {city}?",
         "What is the news in {country}?", "What language do they speak in {country}?", "Who was king in {year}?",
         "What do people eat in {country}?", "Why is {city} famous?", "Will it rain in {city}?", "Who is {name}?",
         "What is the price of gold in {country}?", "When was {city} built?", "Write me a poem about {city}.",
         "What will happen in {year}?", "Why is the sky so high?", "Can you write a program?", "What is love?",
         "What is the meaning of life?", "Who wrote this book?", "Explain gravity.", "How does a computer work?",
         "Is there a good hotel in {city}?", "Which team won in {year}?", "How do I cook rice?"),
        ("What is the weather like in {country}?", "Who won the match in {year}?", "How old is the king of {country}?",
         "How tall is the king of {country}?", "When was {name} born?"),
        brief=False, weight=0.5,
    ),
)  # fmt: skip
