"""List the words of an invented world: kinds of things, statements about them, and questions.

In a template {e} is the thing, {v} the value that a fact gives it, {o} another thing of the same kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A property that each thing of a kind has.

    `pool` has the values: "place", "person" or "thing" for invented names, or a list of words. `noun` describes a
    value; `translations` has one wording of the question for each language.
    """

    pool: str | tuple[str, ...]
    noun: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    translations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of things, with the sentences of a paragraph about one: openings, statements, fillers, comparisons."""

    subject: str
    openings: tuple[str, ...]
    relations: tuple[Relation, ...]
    fillers: tuple[str, ...]
    comparisons: tuple[str, ...]


RIVER = Kind(
    subject="geography",
    openings=(
        "The {e} is a slow brown river with many bends.",
        "Few rivers freeze as early in the year as the {e}.",
        "The river {e} is long, shallow and full of gravel banks.",
    ),
    relations=(
        Relation(
            pool="place",
            noun="a range of hills",
            statements=(
                "It rises in the {v} hills.",
                "Its springs lie high up in the {v} hills.",
                "The stream begins as three brooks among the hills of {v}.",
            ),
            questions=(
                "In which hills does the river {e} rise?",
                "Where are the springs of the {e}?",
                "Among which hills does the {e} begin its course?",
            ),
        ),
        Relation(
            pool="place",
            noun="a harbour town",
            statements=(
                "It reaches the sea at {v}.",
                "Its mouth is at {v}, where it flows into the sea.",
                "At {v} the water meets the sea.",
            ),
            questions=(
                "At which town does the river {e} flow into the sea?",
                "Where is the mouth of the river {e}?",
                "Which town stands where the {e} meets the sea?",
            ),
            translations={
                "es": "¿En qué ciudad desemboca el río {e} en el mar?",
                "de": "In welcher Stadt mündet der Fluss {e} ins Meer?",
                "vi": "Sông {e} đổ ra biển ở thị trấn nào?",
                "ko": "{e} 강은 어느 도시에서 바다로 흘러 들어갑니까?",
            },
        ),
        Relation(
            pool="thing",
            noun="a stream",
            statements=(
                "Its largest tributary is the {v}.",
                "Of the streams that join it the {v} is the greatest.",
                "Half of its water comes from a tributary called the {v}.",
            ),
            questions=(
                "What is the largest tributary of the {e}?",
                "Which stream brings the most water to the river {e}?",
                "Name the greatest of the streams that join the {e}.",
            ),
        ),
    ),
    fillers=(
        "Barges are drawn along it by oxen.",
        "Floods come twice a year and leave black mud.",
        "Its upper part is too steep for boats.",
        "Old mills stand on both banks.",
        "Ferrymen sing to keep time.",
    ),
    comparisons=("On maps it is easily mistaken for the {o}.", "Older maps draw it as an arm of the {o}."),
)

ISLAND = Kind(
    subject="geography",
    openings=(
        "{e} is a small windy island.",
        "The island of {e} can be walked around in two days.",
        "Nobody lived on the island {e} for a long time.",
    ),
    relations=(
        Relation(
            pool="place",
            noun="a province",
            statements=(
                "It belongs to the province of {v}.",
                "Its people pay their taxes to the province of {v}.",
                "Since the last census it has been counted with {v} province.",
            ),
            questions=(
                "To which province does the island of {e} belong?",
                "Which province is {e} a part of?",
                "Where do the islanders of {e} pay their taxes?",
            ),
        ),
        Relation(
            pool="place",
            noun="a sheltered bay",
            statements=(
                "Ships anchor in the bay of {v}.",
                "Its only safe anchorage is the bay of {v}.",
                "Sailors know it for {v}, a bay without storms.",
            ),
            questions=(
                "In which bay do ships anchor at the island {e}?",
                "What is the safe anchorage of {e} called?",
                "Which bay shelters sailors who come to {e}?",
            ),
            translations={
                "es": "¿En qué bahía anclan los barcos que llegan a la isla {e}?",
                "de": "In welcher Bucht ankern Schiffe vor der Insel {e}?",
                "vi": "Tàu thuyền neo đậu ở vịnh nào của đảo {e}?",
                "ko": "{e} 섬에 오는 배들은 어느 만에 닻을 내립니까?",
            },
        ),
        Relation(
            pool="place",
            noun="a mountain",
            statements=(
                "Its highest peak is Mount {v}.",
                "Mount {v} towers over all its other heights.",
                "From the top of Mount {v} one sees the whole of it.",
            ),
            questions=(
                "What is the highest peak of {e}?",
                "Which mountain towers over the island of {e}?",
                "From which summit can all of {e} be seen?",
            ),
        ),
    ),
    fillers=(
        "Goats outnumber its people.",
        "Rain is caught in stone basins.",
        "The ferry comes on the first day of each month.",
        "Its houses have no windows to the west.",
        "Wreckage is washed ashore every winter.",
    ),
    comparisons=("It is half the size of {o}.", "Its people marry those of {o}."),
)

HERB = Kind(
    subject="biology",
    openings=(
        "The {e} is a herb with leaves like a spoon.",
        "{e} is a creeping plant that flowers at night.",
        "The low shrub called {e} keeps its leaves in winter.",
    ),
    relations=(
        Relation(
            pool="place",
            noun="a valley",
            statements=(
                "It grows wild only in the valley of {v}.",
                "All wild plants are found in one valley, {v}.",
                "Outside {v} valley it has never been seen to grow by itself.",
            ),
            questions=(
                "In which valley does the herb {e} grow wild?",
                "Where is wild {e} found?",
                "Which valley is the natural home of the {e} plant?",
            ),
            translations={
                "es": "¿En qué valle crece silvestre la hierba {e}?",
                "de": "In welchem Tal wächst das Kraut {e} wild?",
                "vi": "Cây thảo {e} mọc hoang ở thung lũng nào?",
                "ko": "약초 {e}은(는) 어느 골짜기에서 야생으로 자랍니까?",
            },
        ),
        Relation(
            pool="person",
            noun="a botanist",
            statements=(
                "It was first described by the botanist {v}.",
                "Its first description is by {v}, who drew it from life.",
                "The botanist {v} gave it its name.",
            ),
            questions=(
                "Who first described the plant {e}?",
                "Which botanist named the {e}?",
                "To whom do we owe the first description of {e}?",
            ),
        ),
        Relation(
            pool="thing",
            noun="a dye",
            statements=(
                "Its roots give the dye known as {v}.",
                "Weavers boil it to get {v}, a dye.",
                "A dye called {v} is pressed from its berries.",
            ),
            questions=(
                "Which dye is made from {e}?",
                "What do weavers get from the herb {e}?",
                "What is the dye that {e} yields called?",
            ),
        ),
    ),
    fillers=(
        "Bees avoid it.",
        "Its seeds need two winters to sprout.",
        "Fresh leaves smell of rain.",
        "Gardeners think it a weed.",
        "Sheep that eat it fall asleep.",
    ),
    comparisons=("It is a near relative of the {o}.", "Beginners take it for {o}."),
)

BEAST = Kind(
    subject="biology",
    openings=(
        "The {e} is a shy animal with striped ears.",
        "A grown {e} weighs as much as a cat.",
        "The {e} is a furry creature that sleeps by day.",
    ),
    relations=(
        Relation(
            pool=(
                "acorns",
                "beetles",
                "snails",
                "moss",
                "earthworms",
                "mushrooms",
                "crickets",
                "eggs",
                "tadpoles",
                "reeds",
                "clover",
                "ants",
                "crabs",
                "moths",
                "nuts",
                "lichen",
                "caterpillars",
                "shrimps",
                "thistles",
                "honey",
            ),
            noun="a food",
            statements=(
                "It lives almost wholly on {v}.",
                "Its food is {v} and hardly anything else.",
                "All night it looks for {v}.",
            ),
            questions=(
                "What does the {e} feed on?",
                "What is the main food of the animal {e}?",
                "Which food does a {e} look for at night?",
            ),
        ),
        Relation(
            pool="place",
            noun="a marsh",
            statements=(
                "It breeds in the marshes of {v}.",
                "Its young are born in the {v} marsh.",
                "Each spring the females gather in {v}, a marsh.",
            ),
            questions=(
                "In which marsh does the {e} breed?",
                "Where are the young of the {e} born?",
                "Where do female {e} gather in spring?",
            ),
            translations={
                "es": "¿En qué pantano se reproduce el animal llamado {e}?",
                "de": "In welchem Sumpf bringt das Tier {e} seine Jungen zur Welt?",
                "vi": "Loài vật {e} sinh sản ở đầm lầy nào?",
                "ko": "동물 {e}은(는) 어느 늪에서 새끼를 낳습니까?",
            },
        ),
        Relation(
            pool="thing",
            noun="a bird of prey",
            statements=(
                "Its worst enemy is a bird, the {v}.",
                "It is preyed upon by the {v}.",
                "Many are taken by the {v}, a bird of prey.",
            ),
            questions=(
                "Which bird preys on the {e}?",
                "What is the worst enemy of the {e}?",
                "By which hunter are many {e} taken?",
            ),
        ),
    ),
    fillers=(
        "Its call is like a creaking door.",
        "Its tail is longer than its body.",
        "It can swim but does not like to.",
        "Old ones turn white.",
        "It never drinks.",
    ),
    comparisons=("Its tracks look like those of the {o}.", "It shares its burrows with the {o}."),
)

BATTLE = Kind(
    subject="history",
    openings=(
        "The battle of {e} lasted from dawn to dusk.",
        "{e} is remembered as a battle that nobody wanted.",
        "The battle of {e} was fought in deep snow.",
    ),
    relations=(
        Relation(
            pool="person",
            noun="a general",
            statements=(
                "It was won by {v}.",
                "The victory went to the army of general {v}.",
                "{v} commanded the side that won.",
            ),
            questions=(
                "Who won the battle of {e}?",
                "Which general was victorious at {e}?",
                "Who led the winning army in the battle of {e}?",
            ),
            translations={
                "es": "¿Quién ganó la batalla de {e}?",
                "de": "Wer gewann die Schlacht von {e}?",
                "vi": "Ai đã chiến thắng trong trận {e}?",
                "ko": "{e} 전투에서 승리한 사람은 누구입니까?",
            },
        ),
        Relation(
            pool="place",
            noun="an abbey",
            statements=(
                "Peace was signed in the abbey of {v}.",
                "The quarrel ended with a treaty sealed at {v} abbey.",
                "Envoys met at {v}, an abbey, to make peace.",
            ),
            questions=(
                "Where was peace made after the battle of {e}?",
                "In which abbey was the treaty after {e} signed?",
                "To which abbey did the envoys go when {e} had been fought?",
            ),
        ),
        Relation(
            pool="thing",
            noun="a noble house",
            statements=(
                "The house of {v} died out in it.",
                "The last heir of the house of {v} fell there.",
                "It was the end of the noble house {v}.",
            ),
            questions=(
                "Which noble house died out in the battle of {e}?",
                "Whose last heir fell at {e}?",
                "What family came to its end at {e}?",
            ),
        ),
    ),
    fillers=(
        "Both sides ran out of arrows.",
        "A song about it is still taught in schools.",
        "Farmers plough up helmets to this day.",
        "Fog hid the left wing.",
        "The wounded were carried home on sledges.",
    ),
    comparisons=("It was fought a year after {o}.", "Chronicles confuse it with {o}."),
)

QUEEN = Kind(
    subject="history",
    openings=(
        "Queen {e} came to the throne as a child.",
        "{e} was a queen who hated war.",
        "Queen {e} is said to have read in her bath.",
    ),
    relations=(
        Relation(
            pool="place",
            noun="a city",
            statements=(
                "She founded the city of {v}.",
                "The city {v} was laid out by her.",
                "On her order the city of {v} was built on empty land.",
            ),
            questions=(
                "Which city did queen {e} found?",
                "What city was built on the order of {e}?",
                "Of which city was queen {e} the founder?",
            ),
            translations={
                "es": "¿Qué ciudad fundó la reina {e}?",
                "de": "Welche Stadt hat Königin {e} gegründet?",
                "vi": "Nữ hoàng {e} đã lập nên thành phố nào?",
                "ko": "{e} 여왕이 세운 도시는 어디입니까?",
            },
        ),
        Relation(
            pool="person",
            noun="a court poet",
            statements=(
                "Her court poet was {v}.",
                "{v} wrote verses at her court.",
                "She gave the poet {v} a house for life.",
            ),
            questions=(
                "Who was the court poet of queen {e}?",
                "Which poet lived at the court of {e}?",
                "To which poet did {e} give a house?",
            ),
        ),
        Relation(
            pool=(
                "301",
                "317",
                "322",
                "336",
                "348",
                "355",
                "364",
                "379",
                "383",
                "390",
                "406",
                "411",
                "428",
                "434",
                "447",
                "452",
                "469",
                "475",
                "486",
                "493",
            ),
            noun="a year",
            statements=(
                "She was crowned in the year {v}.",
                "Her coronation fell in the year {v}.",
                "From the year {v} she wore the crown.",
            ),
            questions=(
                "In which year was queen {e} crowned?",
                "When was the coronation of {e}?",
                "Since what year did {e} wear the crown?",
            ),
        ),
    ),
    fillers=(
        "She spoke five languages.",
        "Her portrait hangs in every school.",
        "Taxes were halved under her.",
        "She kept bees on the roof.",
        "Her brother never forgave her.",
    ),
    comparisons=("Her cousin was queen {o}.", "She wrote long letters to queen {o}."),
)

MACHINE = Kind(
    subject="engineering",
    openings=(
        "The {e} is a pump with two pistons.",
        "A {e} engine can be heard from far away.",
        "The machine called {e} was meant for mines.",
    ),
    relations=(
        Relation(
            pool="person",
            noun="an inventor",
            statements=(
                "It was invented by {v}.",
                "{v} built the first one in a barn.",
                "The idea came to the engineer {v} in a dream.",
            ),
            questions=(
                "Who invented the {e} machine?",
                "Who built the first {e}?",
                "To which engineer do we owe the {e} engine?",
            ),
            translations={
                "es": "¿Quién inventó la máquina llamada {e}?",
                "de": "Wer hat die Maschine {e} erfunden?",
                "vi": "Ai đã phát minh ra cỗ máy {e}?",
                "ko": "{e} 기계를 발명한 사람은 누구입니까?",
            },
        ),
        Relation(
            pool="thing",
            noun="an alloy",
            statements=(
                "Its valves are cast from the alloy {v}.",
                "It needs valves of {v}, a hard alloy.",
                "Only {v}, an alloy, stands the heat inside.",
            ),
            questions=(
                "From which alloy are the valves of the {e} cast?",
                "What alloy does a {e} need?",
                "Which metal stands the heat inside the {e}?",
            ),
        ),
        Relation(
            pool="place",
            noun="a foundry town",
            statements=(
                "It is made in the workshops of {v}.",
                "All of them come from the foundry at {v}.",
                "The town of {v} lives by making it.",
            ),
            questions=(
                "Where is the {e} made?",
                "From which foundry town does every {e} come?",
                "Which town lives by making the machine {e}?",
            ),
        ),
    ),
    fillers=(
        "It burns more oil than it should.",
        "Two men can carry it.",
        "Its flywheel is taller than a door.",
        "Children are told to stay away from it.",
        "It has been forbidden in theatres.",
    ),
    comparisons=("It replaced the {o}.", "Its spare parts fit the {o} as well."),
)

BRIDGE = Kind(
    subject="engineering",
    openings=(
        "The {e} bridge hangs on eight chains.",
        "{e} is a bridge that carries both road and rail.",
        "The bridge named {e} sways in the wind.",
    ),
    relations=(
        Relation(
            pool="person",
            noun="an architect",
            statements=(
                "It was designed by {v}.",
                "Its plans were drawn by the architect {v}.",
                "{v} won the contest for its design.",
            ),
            questions=(
                "Who designed the {e} bridge?",
                "Which architect drew the plans of the bridge {e}?",
                "Whose design won the contest for the {e} bridge?",
            ),
            translations={
                "es": "¿Quién diseñó el puente {e}?",
                "de": "Wer hat die Brücke {e} entworfen?",
                "vi": "Ai đã thiết kế cây cầu {e}?",
                "ko": "{e} 다리를 설계한 사람은 누구입니까?",
            },
        ),
        Relation(
            pool="place",
            noun="a gorge",
            statements=(
                "It spans the gorge of {v}.",
                "Beneath it lies the gorge {v}.",
                "It was the first to cross {v} gorge.",
            ),
            questions=(
                "Which gorge does the {e} bridge span?",
                "What gorge lies beneath the bridge {e}?",
                "Over which gorge does one go on the {e} bridge?",
            ),
        ),
        Relation(
            pool=(
                "granite",
                "oak",
                "cedar",
                "basalt",
                "larch",
                "slate",
                "bronze",
                "sandstone",
                "brick",
                "limestone",
                "wrought iron",
                "chestnut",
                "marble",
                "flint",
                "teak",
                "copper",
                "concrete",
                "bamboo",
                "glass",
                "pine",
            ),
            noun="a building material",
            statements=(
                "Its towers are of {v}.",
                "For its towers {v} was chosen.",
                "Its builders trusted in {v} for the towers.",
            ),
            questions=(
                "What are the towers of the {e} bridge made of?",
                "Which material was chosen for the towers of {e}?",
                "In what material did the builders of the {e} bridge trust?",
            ),
        ),
    ),
    fillers=(
        "A toll is taken at its northern end.",
        "It was closed for nine years.",
        "Swallows nest under its deck.",
        "Lovers hang ribbons on it.",
        "It is painted every spring.",
    ),
    comparisons=("It is older than the {o} bridge.", "Its twin is the {o} bridge."),
)

KINDS = (RIVER, ISLAND, HERB, BEAST, BATTLE, QUEEN, MACHINE, BRIDGE)

# Sentences of a paragraph about a value: the first three are openings. None of them answers a question.
VALUE_SENTENCES = {
    "place": (
        "{v} is {n}.",
        "The name {v} is an old one; it stands for {n}.",
        "On every map one finds {v}, {n}.",
        "Visitors come in autumn.",
        "Its archive burned down long ago.",
        "The soil is red and stony.",
        "A lighthouse keeper left a diary about it.",
        "It is a day's walk from the nearest inn.",
        "The local cheese is sold far away.",
        "Winters are mild and wet.",
        "Its people are said to be stubborn.",
        "A fair is held there every ninth day.",
    ),
    "person": (
        "{v} was {n}.",
        "Of all who were called {n}, {v} is the best known.",
        "{v}, {n}, lived long ago.",
        "Two statues survive.",
        "A limp was the mark of an accident in youth.",
        "Debts forced a move to the coast.",
        "The letters fill eleven volumes.",
        "Nothing is known about the parents.",
        "Dogs were a lifelong passion.",
        "The grave has never been found.",
        "A street bears the name.",
        "Pupils came from far away.",
    ),
    "thing": (
        "{v} is {n}.",
        "People call it {v}: {n} known to everybody.",
        "By {v} is meant {n}.",
        "It is mentioned in many proverbs.",
        "Merchants pay well for a picture of it.",
        "Opinions differ about its age.",
        "A museum is devoted to it.",
        "Nobody knows where the word comes from.",
        "It appears on the coins of the realm.",
        "Children learn about it at the age of seven.",
        "An old ballad praises it.",
        "It was once thought to bring luck.",
    ),
}
