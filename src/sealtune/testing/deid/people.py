"""Names of people of many origins, for the notes of `deid.generator`; said to be nobody's."""

from __future__ import annotations

from typing import Final


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIVEN: Final = _words(
    """
    Abena Abdirahman Adaeze Adelheid Adwoa Aelfric Agnieszka Ahiga Aigerim Aiko Ailbhe Aino
    Aisling Akosua Akua Alasdair Albrecht Aleksi Alejandra Alfonsina Alhassan Alistair Aliyah
    Amadou Amaia Amandine Amarachi Ambrose Amihan Amparo Anahit Anastazja Andile Aneurin
    Angharad Anh Anneliese Anselm Antje Anwar Aoife Araceli Aram Arjun Arkadiusz Armando Arnaud
    Arthit Arvid Asel Ashok Astrid Asuncion Atiena Augustin Aurelio Ayesha Aylin Azadeh Babak
    Baptiste Bartholomew Beatriz Beauregard Behrouz Benedetta Berivan Bernadette Bhavna Birgitta
    Blessing Bogdan Bolanle Borislav Branwen Brigid Bukola Caetano Calliope Candelaria Caoimhe
    Catalina Ceferino Celestine Cerys Chaitanya Chidi Chiara Chinedu Chloe Cihan Clementine Colm
    Concetta Consuelo Cordelia Cornelis Crispin Cuauhtemoc Daiki Dagmar Damaris Darius Dashiell
    Davit Deepika Delphine Demetrius Desta Devorah Dhruv Dieudonne Dilnoza Dimitra Dolores
    Dorothea Dragana Duc Dunja Ebere Edeltraud Efua Eilidh Ekaterina Eleni Elif Eliseo Elzbieta
    Emeka Emre Encarnacion Enrique Epifanio Erzsebet Esperanza Etienne Eudora Eustace Evangelos
    Fadumo Farhad Fatoumata Faustino Fedor Fenella Ferenc Fernanda Fikret Fionnuala Florencia
    Folake Freyja Fumiko Gabor Gaetano Ganesh Genevieve Gennaro Gerhardt Ghislaine Gintaras
    Giuseppina Goran Graciela Griselda Gudrun Guillermo Gulnara Gwendolyn Habiba Hadiza Hakan
    Halvard Hamish Hanneke Haruto Hatice Hedwig Heikki Helga Hermione Heung Hideo Hildegard
    Hiroshi Hoang Hortensia Hussein Ibrahima Ieva Ifeoma Ignacio Ilse Imogen Inaya Indira
    Ingeborg Inigo Iolanthe Ioana Isadora Ismael Itzel Ivana Izabela Jaakko Jacinta Jagdish
    Jamila Jaroslav Jasleen Javier Jedediah Jelena Jens Jeroen Jiahui Joaquim Jolanta Jorunn
    Josefina Jovan Juhani Jurgen Kaapo Kalani Kamala Kaori Karolina Katarzyna Kehinde Keala
    Kerstin Khadija Khalid Kieran Kimimela Kofi Kwabena Kwame Lakshmi Lamine Laszlo Latoya
    Leilani Leocadia Leticia Linh Liesbeth Lorcan Ludmila Lupita Lysander Maarten Madhuri Maelle
    Magdalena Mahmoud Maimouna Makoto Malgorzata Manaia Manjit Margarethe Marisol Marlon
    Matthias Maximiliano Mbali Meenakshi Mehdi Mei Mercedes Mihai Milagros Mireille Mirjana
    Mohammed Moira Monserrat Mukesh Murtaza Mwangi Nadezhda Naledi Nanami Naveed Ndidi Neha
    Ngozi Nguyet Niamh Nikolaos Nilufar Nkechi Noemi Nomvula Nuria Oddvar Odalys Oksana Olamide
    Olwen Omar Oriol Osvaldo Ottoline Oyelaran Padraig Paloma Parisa Parvati Pasquale Patience
    Pavel Perpetua Petronella Philomena Phuong Pieter Prakash Primrose Priscilla Quentin Qiang
    Rafaela Raghav Rahel Rania Rasheeda Refilwe Reinhold Remedios Renzo Rigoberto Roderick
    Rodolfo Rohini Rosalind Roxana Ruaridh Rukhsana Ryszard Sabitha Saoirse Salman Samuel Sanjay
    Santiago Saskia Satoshi Savitri Sebnem Seamus Segun Serafina Shanthi Shirin Sigrid Silvija
    Simone Siobhan Siyabonga Slavomir Soledad Solveig Somchai Sophronia Soren Stanislaw Stavros
    Sukhdeep Svetlana Swati Tadeusz Taiwo Takeshi Tamar Tapiwa Tatsuya Temitope Tendai Teodora
    Thandiwe Theodora Thibault Thorsten Thuy Tiago Tomasz Torvald Trygve Tunde Uchenna Ulrike
    Umberto Usha Vasileios Venkatesh Veronique Vidar Viktoriya Violeta Vishal Vivienne Vusumuzi
    Waltraud Wambui Wenceslao Wilfredo Wilhelmina Winifred Wojciech Xavier Xiomara Xochitl Yael
    Yasemin Yevgeny Yiannis Yolanda Yousef Yuki Yusra Zacarias Zainab Zbigniew Zdenka Zeynep
    Zoltan Zuleika Mary John James Linda Robert Susan Michael Karen David Patricia William
    Barbara Thomas Nancy Daniel Lisa Kevin Laura Brian Sarah George Helen Paul Ruth Grace Frank
    Rose Carl Joy Hope
    """
)

FAMILY: Final = _words(
    """
    Abara Abdullahi Abernathy Achterberg Adeyemi Aguirrebengoa Ahlquist Aitken Akinwande Alarcon
    Albescu Aldaco Alderete Alexandrou Altamirano Amoah Ananthakrishnan Andriessen Antonopoulos
    Appiah Arangio Arbuckle Archambault Ardizzone Armitage Arrington Asante Aslanyan Atanasova
    Auerbach Avetisyan Awolowo Aydogan Azevedo Baczynski Badmus Bainbridge Balakrishnan Balogun
    Bancroft Barraclough Bartoszek Basurto Baumgartner Beauchamp Bednarek Belhadj Benavides
    Bergstrom Bhattacharya Biancardi Bielawski Birtwistle Blankenship Boateng Bogdanovic
    Bonaventura Borowski Bouchard Boudreaux Bracamontes Brankovic Brathwaite Brzezinski Buchholz
    Bustamante Cabrera Calderwood Campanella Candelario Carmichael Castellanos Cavanaugh
    Cervantes Chakraborty Chandrasekhar Charalambous Chatterjee Chaudhry Chevalier Chikwanha
    Chmielewski Cholmondeley Christodoulou Cienfuegos Clatterbuck Coetzee Collingwood Comeaux
    Constantinescu Corcoran Cuthbertson Czerwinski D'Agostino D'Souza Dabrowski Dalgaard Danjuma
    Darko Dasgupta Debrah Delacroix Delgadillo Demirci Deshpande Desrosiers Dhaliwal Diallo
    Dieterich Dimitriadis Diop Dlamini Dombrowski Donnellan Dragomir Drummond Dubicki Duquesne
    Dzhaparidze Eberhardt Echeverria Edwardsson Eguavoen Eichelberger Ekwueme Elizondo
    Elliott-Hayes Erdogan Eskildsen Espinoza Estrada Etxeberria Eze Fairweather Falkenrath
    Farahani Faulkner Featherstone Feliciano Fernando Ferreira Fitzwilliam Fjeldstad Fontenot
    Forsberg Fotheringham Fournier Fredriksen Friedlander Frimpong Fujimoto Fukuda Galbraith
    Gallegos Gandhi Garibaldi Gebremariam Georgiou Ghorbani Giannopoulos Gilchrist Giordano
    Gladstone Goldschmidt Gopalakrishnan Gorecki Gottlieb Goundry Grabowski Greenhalgh
    Gronkowski Guadarrama Gudmundsson Guerrero Gunawardena Gutierrez Gyamfi Haavisto Hachemi
    Hakimi Halvorsen Hammersmith Hargreaves Hashimoto Hathaway Hausknecht Heikkinen Hendriksen
    Hernandez Hetherington Hidalgo Higginbotham Hinojosa Hoang Hollingsworth Horvath Houlihan
    Hristova Huckabee Hussein Hutchinson Ibarra Igwe Ikeda Inoue Iordache Iskandar Ivanenko Iwu
    Izquierdo Jablonski Jagannathan Jankowski Jaramillo Jedrzejczak Jimenez Johannesson
    Jovanovic Juarez Kaczmarek Kahananui Kallas Kalinowski Kamau Kapadia Karagiannis Karlsson
    Kasprzak Kavanagh Kealoha Keawe Kerrigan Khachaturian Khumalo Kilpatrick Kimathi Kirchhoff
    Kiplagat Kleinhans Knickerbocker Kobayashi Koivisto Kolarova Konstantinidis Kovalenko
    Kowalczyk Krishnamurthy Kruger Kulkarni Kuznetsova Kvaratskhelia Kwarteng Lachapelle
    Lafontaine Lagerfeld Lamothe Landsberg Larranaga Lattimore Lavoie Leclair Leszczynski
    Liebermann Lindqvist Lisowski Livingstone Llewellyn Lombardi Longworth Loughlin Lovelace
    Lundgren Luszczak Lyttelton MacAllister MacGillivray MacNamara Madubuike Mahlangu Makinen
    Malinowska Mandelbaum Mannheim Maradiaga Markovic Marroquin Martinsson Mascarenhas Massoud
    Matsumoto Mavropoulos Mbeki McAllister McClanahan McCorkindale McElhinney McGillicuddy
    McIlroy McKechnie McQuillan Medeiros Mehrotra Meszaros Michaelides Mikkelsen Mirzakhani
    Mkhize Mogensen Mokoena Montemayor Montgomery Moreau Morgenstern Moskowitz Mozaffari
    Mukherjee Munoz Murakami Musabayev Mutasa Mwangi Nakagawa Nakamura Nambiar Naranjo Navarrete
    Ndiaye Nemeth Neubauer Nguyen Niedermeyer Nkosi Nordstrom Novotny Nwachukwu Nyambura
    O'Callaghan O'Flaherty O'Shaughnessy Obasanjo Oberholtzer Ocampo Odhiambo Ogunleye Okafor
    Okonkwo Olafsson Olszewski Omondi Onyango Oppenheimer Orlowski Osei Ostrowski Oyelowo Ozturk
    Pachulski Padmanabhan Palaiologos Pantazis Papadakis Pappas Pargeter Parthasarathy Patel
    Paszkiewicz Pawlak Pelletier Pemberton Penhaligon Peralta Petropoulos Phan Pham Piotrowski
    Pochettino Polanco Pomeroy Ponnambalam Popescu Postlethwaite Prendergast Przybylski
    Quackenbush Quarshie Quintanilla Quisenberry Rabinowitz Radcliffe Rafsanjani Rajagopalan
    Ramaswamy Rasmussen Ravenscroft Razafindrakoto Reinholdt Rezaei Riedlinger Rittenhouse
    Robichaux Rodrigues Rosenkrantz Rothschild Rozwadowski Rutherford Rzepka Saavedra Sabatini
    Sadowski Saetang Salgado Samaraweera Sandoval Santangelo Sarkisian Sauerbrey Savchenko
    Scarborough Schimmelpfennig Schoenfeld Schwarzkopf Sedgwick Senanayake Sepulveda Shackleford
    Shevchenko Shimizu Siddiqui Sigurdsson Sikorski Silberstein Skarsgard Sobczak Sokolov
    Somerville Sorensen Spyropoulos Srinivasan Stankevich Steinbrenner Stojanovic Stourbridge
    Strickland Subramaniam Sundaram Svensson Swiatek Szczepanski Szymanski Taggart Takahashi
    Tamboli Tanaka Tavernier Tchaikowsky Temelkov Tesfaye Thistlethwaite Thorbjornsen
    Thorvaldsen Tikhonov Toussaint Tran Trevelyan Trivedi Tshabalala Tymoshenko Uchida Udechukwu
    Underhill Unterberger Urquhart Urrutia Valdivia Valtonen Vanderbeek Vandermeulen Varadarajan
    Vasiliou Vasquez Velazquez Venkataraman Verstappen Villalobos Villanueva Vinogradov
    Vishwanathan Vlahos Vukovic Wachowski Waldegrave Wanjiru Warnecke Washburn Weatherford
    Weissmuller Wetherell Whittington Wickramasinghe Wieczorek Winterbottom Witkowski
    Wojnarowski Wolstenholme Woolridge Worthington Wrobel Yamashita Yanagi Yeboah Yildirim
    Youngblood Yusuf Zabaleta Zamora Zapatero Zaragoza Zawadzki Zelenko Zielinski Zimmerli
    Zubizarreta Zwickel Smith Johnson Brown Garcia Miller Davis Wilson Lee Clark Lewis Walker
    Young King Hill Green Baker Carter Parker Price Long Cook Bell Cole Rose May Field
    """
)

# Particles make the family name: `van der Berg`, `de la Cruz`, `Al-Sayed`.
PARTICLED: Final = (
    "van der Zijl",
    "van den Hoek",
    "de la Torre",
    "de Oliveira",
    "von Ahlefeld",
    "von der Heide",
    "Di Benedetto",
    "della Rovere",
    "Al-Sayegh",
    "El-Khoury",
    "bin Rashid",
    "ter Horst",
    "Le Goff",
    "dos Santos",
    "Ben-Shalom",
    "St. Clair",
    "Mac Giolla",
    "ap Rhys",
    "du Plessis",
    "Abu Zayd",
)
ACCENTED_GIVEN: Final = (
    "Åsa",
    "Björk",
    "Céline",
    "Dórottya",
    "Élodie",
    "Françoise",
    "Göran",
    "Héctor",
    "İpek",
    "José",
    "Jürgen",
    "Łucja",
    "Martín",
    "Nuño",
    "Óscar",
    "Ródhán",
    "Şule",
    "Søren",
    "Tomáš",
    "Zoë",
)
ACCENTED_FAMILY: Final = (
    "Ångström",
    "Bárány",
    "Çelik",
    "Dvořák",
    "Etxebarría",
    "Fernández",
    "Gómez",
    "Hrušovský",
    "Ibáñez",
    "Jørgensen",
    "Krzyżanowski",
    "Lefèvre",
    "Müllner",
    "Nuñez",
    "Özdemir",
    "Pérez",
    "Sánchez",
    "Thórsson",
    "Weißenborn",
    "Yáñez",
    "Žižka",
)
# People who are named in one word or in an order of their own.
ASIAN: Final = (
    "Li Xiuying",
    "Park Ji-woo",
    "Nguyen Thi Bich",
    "Chan Tai-man",
    "Kim Seo-yeon",
    "Zhao Guoqiang",
    "Tan Wei Ling",
    "Vo Van Kiet",
    "Choi Hyun-jun",
    "Huang Yu-ting",
)
