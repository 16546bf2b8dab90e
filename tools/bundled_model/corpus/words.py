"""Word lists that the stories, the spelling and the small talk draw from.

`HELD_OUT` words are never used as a subject: the evaluation asks for them, to show that the model
copies and spells words that it has not met in training.
"""

from __future__ import annotations

from random import Random

HELD_OUT = frozenset(
    """badger umbrella lighthouse kettle dragon rabbit lantern harvest pepper jungle violin zipper
    oskar priya marble biscuit pirate trumpet hedgehog ladder windmill goose puppet candle monkey
    pumpkin walnut leonie button tromso sara""".split()
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split() if word.lower() not in HELD_OUT)


ANIMALS = _words(
    """fox bear cat dog mouse owl frog duck hen horse cow pig sheep goat donkey wolf deer squirrel
    beaver otter mole crow sparrow robin swan eagle parrot penguin seal whale dolphin shark turtle
    snail spider bee ant beetle butterfly ladybird cricket lizard snake crocodile elephant lion
    tiger giraffe zebra camel kangaroo koala panda hamster kitten puppy lamb calf pony raven stork
    heron moth worm crab octopus lobster moose bison hare weasel raccoon skunk bat toad peacock
    rooster magpie pigeon seagull leopard gorilla hippo rhino llama alpaca yak ferret chipmunk
    alligator antelope armadillo baboon barracuda buzzard canary caterpillar centipede chameleon
    chimpanzee cockatoo cormorant coyote cuckoo dragonfly dromedary falcon flamingo gazelle
    gecko grasshopper hyena iguana jackal jaguar kingfisher lemur mammoth meerkat mongoose
    narwhal opossum orangutan ostrich panther partridge pelican pheasant piglet platypus
    porcupine reindeer salamander salmon scorpion seahorse squid stingray swallow tarantula
    tortoise toucan trout viper vulture walrus warthog wolverine wombat woodpecker"""
)
PEOPLE = _words(
    """girl boy king queen prince princess knight witch wizard giant farmer baker sailor fisherman
    teacher tailor painter musician captain cook gardener shepherd miller carpenter doctor student
    child grandmother grandfather robot ghost fairy elf dwarf mermaid hunter juggler postman clown
    astronaut explorer thief soldier dancer singer inventor librarian blacksmith merchant monk
    wanderer cowboy ninja troll goblin snowman scarecrow unicorn monster detective pilot nurse
    beginner butler champion colonel conductor governor hairdresser lifeguard magician mechanic
    millionaire philosopher photographer plumber professor referee sculptor sergeant servant
    stranger tourist treasurer violinist"""
)
THINGS = _words(
    """lamp ball book bell boat box broom bucket cake chair clock cloud coat coin cup door drum egg
    feather fence flag flower flute guitar hammer hat kite knife letter map mirror mitten nail
    needle net orange pan pear pen pencil piano pillow pin plate pot potato ring rock rope sack
    scarf seed shell ship shoe shovel sock spoon star stick stone sword table teapot tent torch
    towel toy train tree trunk vase wagon watch wheel whistle window apple banana carrot cherry
    lemon melon nut onion plum berry bread butter cheese cookie honey jam pie soup sugar bag
    barrel basket bench blanket bottle bowl brush cabin cage camera card carpet cart castle chain
    chest comb compass cottage crown curtain desk dish doll dress engine fan fiddle fork fountain
    garden gate glass glove gold harp helmet hill horn house island jacket jar jewel jug key
    ladle leaf lock log magnet mask medal mill mug mushroom nest notebook oar oven paddle paint
    palace paper parcel path pebble phone picture pipe pond purse puzzle quilt radio raft rainbow
    ribbon river robe rocket roof rose rug saddle saw scissors scroll seesaw shelf shield sled
    slipper snowflake soap sofa spade statue stove suitcase sun swing tambourine telescope thread
    ticket tower tractor treasure tunnel turnip valley wall wand waterfall well whip wig wing
    bicycle balloon bridge bus car computer diamond forest hut lake market moon mountain museum
    ocean pyramid school shop stable temple tomato village volcano book anchor arrow axe badge
    bandage bead belt blossom bonnet bracelet brick bubble bulb cactus calendar canoe cape chimney
    chocolate cabbage cushion dagger envelope eraser faucet flask freezer fridge hook
    keyboard kitchen lid locket necklace newspaper pancake pedal pigtail pistachio pocket postcard
    puddle pump raincoat razor rattle ruler sandal sandwich sausage screw skateboard spider-web
    sponge stamp stool straw string sunflower sweater teddy thimble toaster trophy trousers tulip
    typewriter vest waffle wallet wardrobe whisker wreath yarn yogurt
    acorn almanac antenna apron aquarium avalanche bagpipe banister barometer bathtub battery
    bayonet beacon beehive billboard binoculars blender blueprint bookcase boulder bouquet
    bucketful bulldozer bungalow cabinet calculator cardigan caravan catapult cathedral cauldron
    cellar cemetery chandelier cliff cobweb coconut colander corridor crayon cradle crystal
    cucumber cutlery cyclone dandelion dashboard diary dinghy doorbell doorstep drawbridge
    driftwood dungeon dustbin earring easel elevator emerald escalator factory farmhouse
    festival fingerprint firefly fireplace firework flannel fortress fossil gearbox geyser
    glacier globe goblet gondola greenhouse gravel hairbrush hammock harbour harmonica
    helicopter highway hourglass icicle igloo ink iceberg invention jigsaw journal jukebox kayak
    kennel keyhole ladybug lagoon laundry lawnmower lemonade lever lily limousine lipstick
    locomotive lollipop magnolia mailbox manuscript marmalade mattress meadow megaphone melody
    meteor milkshake minaret monastery motorbike motor mousetrap mural mustard napkin notepad
    oasis obelisk omelette orchard orchestra ornament oyster padlock palette parsley passport
    pastry pavement peppermint pepperoni perfume photograph pinwheel pitchfork planet plank
    platform plaza playground plough porch poster prism propeller pulley quarry quiver railway
    reservoir riddle rowboat runway sailboat sapphire saucepan sauce scaffold scarlet scooter
    sculpture seaweed shampoo shipwreck shovelful sidewalk signpost skeleton slingshot snowball
    spaceship spectacles speedboat spice spinach sprinkler staircase stapler starfish stairway
    steamboat stethoscope stopwatch sundial surfboard sundae swamp syrup tablecloth tambour
    tapestry tarpaulin teaspoon television temper tepee textbook theatre thermometer thistle
    thunder tissue toothbrush tornado tricycle trolley tuba tuxedo vacuum velvet veranda viaduct
    videotape vineyard visor vitamin warehouse watermelon weathervane wheelbarrow wheelchair
    willow wristwatch yacht zigzag"""
)
ADJECTIVES = _words(
    """little big brave clever kind shy happy lonely old young tiny lazy curious gentle hungry quiet
    proud funny friendly careful silver golden red blue green white black strange shiny broken
    magic lost wooden round heavy soft warm cold bright beautiful"""
)
VERBS = _words(
    """walk run jump sing dance swim climb sleep dream laugh cry paint build carry bring catch throw
    open close find follow listen answer travel wander whisper shout wonder remember forget learn
    teach help give take buy sell clean cook bake eat drink wash fix break repair draw write read
    count measure polish plant water grow cut fold wear hide search explain understand believe
    choose begin finish return arrive leave stay wait hurry rest work play fly drive ride push
    pull lift drop hold touch smell taste hear speak"""
)
ABSTRACT = _words(
    """friendship courage kindness honesty patience love winter summer spring autumn rain snow
    music luck sharing birthday night morning adventure hope dreams family school space"""
)
NAMES = _words(
    """Anna Ben Clara David Emma Finn Greta Hugo Ida Jonas Karla Leo Mia Noah Olivia Paul Rosa Sam
    Tom Ursula Victor Wanda Yara Zoe Adam Bella Carlos Diana Elias Fatima George Hannah Ivan Julia
    Kevin Laura Mark Nina Omar Peter Quinn Rita Simon Tina Uma Vera Will Xenia Yusuf Zara Alice
    Bob Charlie Daisy Ethan Freya Gavin Helen Isaac Jane Kai Lily Max Nora Otto Pia Ruth Steve
    Theo Ulla Vince Wendy Amir Aisha Bruno Chloe Dmitri Elena Felix Gita Hiro Ingrid Jamal Kenji
    Lena Marco Nadia Oscar Petra Raj Sofia Tariq Akira Bianca Cedric Dora Edgar Fiona Gustav
    Hilda Igor Jasmine Kurt Linda Mateo Nils Olga Pablo Ravi Sven Thomas Valentina Walter Ximena
    Maria Ana Luis Chen Wei Mei Priscilla Rebecca Michael Jennifer Robert Sarah Daniel Matthew
    Andrew Joshua Elizabeth William James Mary Patricia Barbara Ada Grace Alan Linus Guido"""
)
PETS = _words(
    """Rex Bella Luna Max Coco Milo Rocky Daisy Buddy Lucky Shadow Ginger Pepper Snowy Tiger Fluffy
    Spot Whiskers Oreo Cookie Simba Nala Felix Smokey Patch Bandit Bruno Poppy Toffee Muffin Pixie
    Socks Misty Duke Honey Peanut Ziggy Mango Pickle Domino"""
)
PLACES = _words(
    """London Paris Berlin Madrid Rome Vienna Oslo Lisbon Warsaw Prague Dublin Athens Cairo Tokyo
    Delhi Sydney Toronto Chicago Boston Lima Nairobi Zurich Munich Hamburg Lyon Porto Milan Kyoto
    Seoul Beijing Mumbai Moscow Kiev Riga Helsinki Stockholm Bergen Geneva Boston Texas Norway
    Spain Italy France Germany Sweden Canada Brazil Peru Kenya Japan India China Egypt Greece
    Poland Austria Ireland Portugal Turkey Mexico Chile Finland Denmark Holland Belgium"""
)
FOODS = _words(
    """pizza pasta rice soup bread cheese chocolate ice-cream cake pancakes apples bananas noodles
    salad fish curry sushi tacos honey strawberries cookies potatoes eggs beans popcorn waffles"""
)
COLOURS = _words("red blue green yellow orange purple pink black white brown grey gold silver")
FUNCTION = _words(
    """the and of to in is it you that he was for on are with as they be at one have this from or
    had by hot word but what some we can out other were all there when up use your how said an each
    she which do their time if will way about many then them would like so these her long make
    thing see him two has look more day could go come did number sound no most people my over know
    water than call first who may down side been now find any new work part place where after back
    little only round man year came show every good me give our under name very through just form
    sentence great think say help low line differ turn cause much mean before move right boy old
    too same tell does set three want air well also play small end put home read hand port large
    beautiful because friend necessary tomorrow different through although enough people receive
    believe separate weird rhythm mesh model hello world python"""
)

_ONSETS = (
    """b bl br c ch cl cr d dr f fl fr g gl gr h j k kl l m n p pl pr qu r s sc sh sk sl sm sn
    sp st str sw t th tr tw v w wh x y z""".split()
    + [""] * 8
)
_VOWELS = "a e i o u a e i o u ai au ay ea ee ei ie oa oo ou ow y".split()
_CODAS = (
    """b ck d f g ge k l ll lt m mp n nd ng nk nt p pt r rd rk rm rn rt s sh ss st t th tt ve x
    ter ler ner per gle ble dle ing er en on el y le""".split()
    + [""] * 16
)

SPELLABLE = tuple(
    dict.fromkeys(ANIMALS + PEOPLE + THINGS + ADJECTIVES + VERBS + ABSTRACT + COLOURS + FUNCTION)
)


_NEXT: dict[str, str] = {}
"""For each letter, the letters that follow it in the lists, as often as they do; "" begins."""
for _word in SPELLABLE:
    for _left, _right in zip(("", *_word), _word, strict=False):
        _NEXT[_left] = _NEXT.get(_left, "") + _right


def _spliced(rng: Random) -> str:
    """The head of one word and the tail of another."""
    first, second = rng.choice(SPELLABLE), rng.choice(SPELLABLE)
    return first[: rng.randint(1, len(first))] + second[rng.randint(0, len(second) - 1) :]


def _syllables(rng: Random) -> str:
    return "".join(
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS)
        for _ in range(rng.choice((1, 2, 2, 3, 3, 4)))
    )


def _chained(rng: Random) -> str:
    """Letters that often stand side by side, which makes rare spellings."""
    word = ""
    for _ in range(rng.randint(3, 12)):
        word += rng.choice(_NEXT.get(word[-1:]) or _NEXT[""])
    return word


def _doubled(rng: Random, word: str, length: int) -> str:
    """The word with a piece of so many letters put in once more, next to it or further on."""
    start = rng.randrange(max(1, len(word) - length + 1))
    place = rng.randint(min(start + length, len(word)), len(word))
    return word[:place] + word[start : start + length] + word[place:]


def invented(rng: Random) -> str:
    """A word that means nothing, so that copying and spelling cannot be learnt by heart."""
    while True:
        word = rng.choice((_spliced, _syllables, _chained))(rng)
        if rng.random() < 0.3:
            word = _doubled(rng, word, rng.choice((1, 1, 2, 2, 3)))
        if 2 < len(word) < 15 and "-" not in word and word not in HELD_OUT:
            return word


def article(word: str) -> str:
    """The word with "a" or "an" before it."""
    return f"an {word}" if word[0] in "aeiou" and not word.startswith(("un", "us")) else f"a {word}"
