"""Stop words: the words that say nothing of what a text is about, in seven languages."""

from __future__ import annotations

from typing import Final

_WORDS: Final = {
    "en": """a about above after again against all also am an and any are as at be because been before being below between
        both but by can could did do does doing don down during each even few for from further get had has have having
        he her here hers him his how however i if in into is it its itself just like made make many may me might more
        most much must my new no nor not now of off on once one only or other our out over own said same see she
        should since so some such than that the their them then there these they this those through to too two under
        until up us use used using very was way we well were what when where which while who whom why will with within
        without would you your""",
    "de": """ab aber alle allem allen aller alles als also am an andere anderen auch auf aus bei beim bin bis bist da dabei
        damit dann das dass dein dem den denn der des dessen die dies diese diesem diesen dieser dieses doch dort du
        durch ein eine einem einen einer eines er es etwas euch für gegen gibt habe haben hat hatte hier hin hinter
        ich ihm ihn ihnen ihr ihre im in ins ist ja jede jeder jedes jetzt kann kein keine können machen man mehr mein
        mit muss nach nicht nichts noch nun nur ob oder ohne schon sehr sein seine sich sie sind so soll sollte
        sondern sonst über um und uns unter vom von vor war waren was weil welche wenn werden wie wieder will wir wird
        wo wurde wurden zu zum zur zwei zwischen""",
    "fr": """à au aux avec avoir c ce cela ces cet cette ceux chaque comme d dans de des deux dont du elle elles en entre
        est et été être eu fait il ils j je l la le les leur leurs lui m ma mais me même mes moins n ne nos notre nous
        on ont ou où par pas peut plus pour qu quand que qui s sa sans se sera ses si son sont sous sur ta te tous
        tout toute toutes très tu un une vers vos votre vous y""",
    "es": """a al algo alguna ante antes aquí así aunque cada como con cuando de del desde donde dos el él ella ellas ellos
        en entre era es esa ese eso esta está están este esto estos fue ha han hasta hay la las le les lo los más me
        mi mientras muy no nos o otra otro otros para pero poco por porque pues que qué quien se según ser si sí sin
        sino sobre son su sus también tan tanto te tiene toda todo todos tras tu un una uno unos y ya yo""",
    "it": """a ad agli ai al alla alle allo anche ancora che chi ci come con così cui da dagli dai dal dalla dalle dei del
        dell della delle dello di dopo dove due e è ed era essere fra gli ha hanno i il in io l la le lei lo loro lui
        ma mi molto ne nei nel nella nelle no noi non o ogni per perché più può prima qualche quale quando quella
        quello questa questi questo se sempre senza si sia sono su sua sue sugli sui sul sulla suo tra tutti tutto un
        una uno vi""",
    "pt": """a ao aos as até cada com como da das de depois do dois dos e é ela elas ele eles em entre era essa esse esta
        está estão este eu foi há isso isto já lhe mais mas me mesmo meu muito na não nas nem no nos nós num numa o
        onde os ou para pela pelas pelo pelos por porque quando que quem se sem ser seu seus só sob sobre sua suas
        também te tem todo todos tu um uma você""",
    "nl": """aan al alle alleen als altijd andere ben bij daar dan dat de deze die dit doch doen door dus een en er ge geen
        geweest haar had heb hebben heeft hem het hier hij hoe hun iets ik in is ja je kan komen kunnen maar me meer
        men met mij mijn moet na naar niet niets nog nu of om omdat onder ons ook op over reeds te tegen toch toen tot
        u uit uw van veel voor want waren was wat we wel werd wezen wie wij wil worden wordt zal ze zei zelf zich zij
        zijn zo zonder zou""",
}

STOP_WORDS: Final = {language: frozenset(words.split()) for language, words in _WORDS.items()}
#: Those of all languages, for texts whose language is not known.
ALL_STOP_WORDS: Final = frozenset().union(*STOP_WORDS.values())
