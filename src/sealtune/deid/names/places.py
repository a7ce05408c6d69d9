"""Places that no list of `faker` has, or none in English: cities, states, provinces."""

from __future__ import annotations

from typing import Final

_TABLE: Final = """
Afghanistan;Albania;Algeria;Angola;Argentina;Armenia;Australia;Austria;Azerbaijan;Bahamas;Bahrain
Bangladesh;Barbados;Belarus;Belgium;Belize;Benin;Bhutan;Bolivia;Bosnia;Botswana;Brazil;Brunei
Bulgaria;Burkina Faso;Burundi;Cambodia;Cameroon;Canada;Cape Verde;Chile;China;Colombia;Congo
Costa Rica;Croatia;Cuba;Cyprus;Czechia;Czech Republic;Denmark;Djibouti;Dominican Republic;Ecuador
Egypt;El Salvador;England;Eritrea;Estonia;Ethiopia;Fiji;Finland;France;Gabon;Gambia;Germany;Ghana
Great Britain;Britain
Greece;Greenland;Grenada;Guatemala;Guinea;Guyana;Haiti;Honduras;Hong Kong;Hungary;Iceland;India
Indonesia;Iran;Iraq;Ireland;Israel;Italy;Ivory Coast;Jamaica;Japan;Kazakhstan;Kenya;Kosovo;Kuwait
Kyrgyzstan;Laos;Latvia;Lebanon;Lesotho;Liberia;Libya;Lithuania;Luxembourg;Madagascar;Malawi
Malaysia;Maldives;Malta;Mauritania;Mauritius;Mexico;Moldova;Monaco;Mongolia;Montenegro;Morocco
Mozambique;Myanmar;Namibia;Nepal;Netherlands;New Zealand;Nicaragua;Niger;Nigeria;North Korea
Northern Ireland;Norway;Oman;Pakistan;Palestine;Panama;Papua New Guinea;Paraguay;Peru;Philippines
Poland;Portugal;Puerto Rico;Qatar;Romania;Russia;Rwanda;Samoa;Saudi Arabia;Scotland;Senegal;Serbia
Seychelles;Sierra Leone;Singapore;Slovakia;Slovenia;Somalia;South Africa;South Korea;South Sudan
Spain;Sri Lanka;Sudan;Suriname;Swaziland;Eswatini;Sweden;Switzerland;Syria;Taiwan;Tajikistan
Tanzania;Thailand;Tibet;Togo;Tonga;Trinidad;Tunisia;Turkey;Turkmenistan;Uganda;Ukraine
United Arab Emirates;United Kingdom;United States;Uruguay;Uzbekistan;Vanuatu;Vatican City
Venezuela
Vietnam;Wales;Yemen;Zambia;Zimbabwe
Alabama;Alaska;Arizona;Arkansas;California;Colorado;Connecticut;Delaware;Florida;Georgia;Hawaii
Idaho;Illinois;Indiana;Iowa;Kansas;Kentucky;Louisiana;Maine;Maryland;Massachusetts;Michigan
Minnesota;Mississippi;Missouri;Montana;Nebraska;Nevada;New Hampshire;New Jersey;New Mexico
New York
North Carolina;North Dakota;Ohio;Oklahoma;Oregon;Pennsylvania;Rhode Island;South Carolina
South Dakota;Tennessee;Texas;Utah;Vermont;Virginia;Washington;West Virginia;Wisconsin;Wyoming
Ontario;Quebec;Alberta;Manitoba;Saskatchewan;British Columbia;Nova Scotia;New Brunswick;Yukon
Newfoundland;Queensland;Tasmania;New South Wales;Bavaria;Saxony;Catalonia;Tuscany;Lombardy
Albany;Albuquerque;Anaheim;Anchorage;Annapolis;Arlington;Atlanta;Augusta;Aurora;Austin;Bakersfield
Baltimore;Baton Rouge;Beaumont;Bellevue;Berkeley;Birmingham;Boise;Boston;Boulder;Bridgeport
Brooklyn;Buffalo;Burbank;Burlington;Cambridge;Camden;Canton;Cedar Rapids;Charleston;Charlotte
Chattanooga;Chesapeake;Chicago;Chula Vista;Cincinnati;Cleveland;Colorado Springs;Columbia;Columbus
Concord;Corpus Christi;Dallas;Dayton;Denver;Des Moines;Detroit;Dover;Duluth;Durham;El Paso
Elizabeth;Erie;Eugene;Evanston;Evansville;Fairfax;Fargo;Fayetteville;Flagstaff;Fort Lauderdale
Fort Wayne;Fort Worth;Fremont;Fresno;Galveston;Gary;Glendale;Grand Rapids;Green Bay;Greensboro
Greenville;Harrisburg;Hartford;Hoboken;Honolulu;Houston;Huntsville;Indianapolis;Irvine;Jackson
Jacksonville;Jersey City;Juneau;Kansas City;Knoxville;Lancaster;Lansing;Laredo;Las Vegas;Lexington
Lincoln;Little Rock;Long Beach;Los Angeles;Louisville;Lubbock;Madison;Manhattan;Memphis;Mesa;Miami
Milwaukee;Minneapolis;Mobile;Modesto;Monroe;Montgomery;Montpelier;Nashville;New Haven;New Orleans
Newark;Norfolk;Oakland;Olympia;Omaha;Orlando;Oxnard;Palo Alto;Pasadena;Paterson;Peoria
Philadelphia
Phoenix;Pittsburgh;Plano;Portland;Providence;Provo;Queens;Raleigh;Reno;Richmond;Riverside;Roanoke
Rochester;Rockford;Sacramento;Salem;Salt Lake City;San Antonio;San Bernardino;San Diego
San Francisco;San Jose;Santa Ana;Santa Barbara;Santa Fe;Santa Monica;Savannah;Scottsdale;Scranton
Seattle;Shreveport;Sioux Falls;Spokane;Springfield;Stamford;Stockton;St. Louis;St. Paul;Syracuse
Tacoma;Tallahassee;Tampa;Tempe;Toledo;Topeka;Trenton;Tucson;Tulsa;Tyler;Utica;Waco;Wichita
Wilmington;Winston-Salem;Worcester;Yonkers;Youngstown;Bronx;Harlem;Staten Island;Hollywood
London;Manchester;Liverpool;Leeds;Sheffield;Bristol;Glasgow;Edinburgh;Cardiff;Belfast;Oxford;Derby
Leicester;Nottingham;Southampton;Portsmouth;Brighton;Plymouth;York;Dublin;Cork;Galway;Limerick
Paris;Lyon;Marseille;Toulouse;Nice;Nantes;Strasbourg;Bordeaux;Lille;Rennes;Berlin;Hamburg;Munich
München;Cologne;Köln;Frankfurt;Stuttgart;Düsseldorf;Leipzig;Dresden;Hannover;Nuremberg;Nürnberg
Bremen;Essen;Dortmund;Bonn;Heidelberg;Freiburg;Vienna;Wien;Salzburg;Graz;Innsbruck;Linz;Zurich
Zürich;Geneva;Basel;Bern;Lausanne;Lucerne;Rome;Roma;Milan;Milano;Naples;Napoli;Turin;Torino
Florence;Firenze;Venice;Bologna;Genoa;Palermo;Verona;Madrid;Barcelona;Valencia;Seville;Sevilla
Bilbao;Malaga;Granada;Zaragoza;Lisbon;Lisboa;Porto;Coimbra;Amsterdam;Rotterdam;The Hague;Utrecht
Eindhoven;Groningen;Brussels;Antwerp;Ghent;Bruges;Liège;Copenhagen;Aarhus;Odense;Stockholm
Gothenburg;Malmö;Uppsala;Oslo;Bergen;Trondheim;Helsinki;Espoo;Tampere;Turku;Reykjavik;Warsaw
Krakow
Kraków;Gdansk;Wroclaw;Poznan;Lodz;Prague;Brno;Bratislava;Budapest;Bucharest;Sofia;Belgrade;Zagreb
Ljubljana;Sarajevo;Skopje;Tirana;Athens;Thessaloniki;Istanbul;Ankara;Izmir;Moscow;Saint Petersburg
Novosibirsk;Kazan;Kiev;Kyiv;Kharkiv;Odessa;Lviv;Minsk;Riga;Vilnius;Tallinn;Tbilisi;Yerevan;Baku
Cairo;Alexandria;Casablanca;Rabat;Algiers;Tunis;Tripoli;Lagos;Abuja;Accra;Nairobi;Mombasa;Kampala
Addis Ababa;Johannesburg;Cape Town;Durban;Pretoria;Harare;Lusaka;Dakar;Kinshasa;Luanda;Khartoum
Jerusalem;Tel Aviv;Haifa;Beirut;Damascus;Amman;Baghdad;Tehran;Riyadh;Jeddah;Mecca;Dubai;Abu Dhabi
Doha;Kabul;Karachi;Lahore;Islamabad;Delhi;New Delhi;Mumbai;Bombay;Bangalore;Chennai;Kolkata
Calcutta;Hyderabad;Pune;Ahmedabad;Jaipur;Dhaka;Kathmandu;Colombo;Beijing;Shanghai;Guangzhou
Shenzhen;Wuhan;Chengdu;Tianjin;Nanjing;Taipei;Tokyo;Osaka;Kyoto;Nagoya;Sapporo;Fukuoka;Hiroshima
Seoul;Busan;Incheon;Pyongyang;Bangkok;Hanoi;Ho Chi Minh City;Saigon;Manila;Cebu;Jakarta;Bali
Kuala Lumpur;Yangon;Phnom Penh;Sydney;Melbourne;Brisbane;Perth;Adelaide;Canberra;Hobart;Auckland
Wellington;Christchurch;Toronto;Montreal;Vancouver;Calgary;Edmonton;Ottawa;Winnipeg;Halifax
Mexico City;Guadalajara;Monterrey;Tijuana;Cancun;Havana;San Juan;Kingston;Santo Domingo;Bogota
Medellin;Cali;Caracas;Quito;Guayaquil;Lima;Cusco;La Paz;Santiago;Valparaiso;Buenos Aires;Cordoba
Rosario;Mendoza;Montevideo;Asuncion;Sao Paulo;São Paulo;Rio de Janeiro;Brasilia;Salvador
Chongqing;Harbin;Hangzhou;Shenyang;Dalian;Qingdao;Jinan;Zhengzhou;Changsha;Kunming;Xiamen;Suzhou
Ningbo
Surat;Lucknow;Kanpur;Nagpur;Indore;Bhopal;Patna;Vadodara;Agra;Varanasi;Coimbatore;Kochi
Visakhapatnam
Faisalabad;Rawalpindi;Multan;Peshawar;Quetta;Chittagong;Surabaya;Bandung;Medan;Semarang;Makassar
Davao;Quezon City;Cebu City;Da Nang;Haiphong;Vientiane;Daegu;Daejeon;Gwangju;Kobe;Yokohama
Kawasaki
Samara;Omsk;Ufa;Chelyabinsk;Yekaterinburg;Nizhny Novgorod;Volgograd;Voronezh;Rostov;Krasnoyarsk
Vladivostok
Tashkent;Samarkand;Almaty;Astana;Bishkek;Dushanbe;Ashgabat;Isfahan;Shiraz;Tabriz;Mashhad;Aleppo
Mosul
Basra;Erbil;Sana'a;Aden;Muscat;Manama;Kuwait City;Medina;Bursa;Antalya;Adana;Gaziantep;Konya;Giza
Kumasi;Kano;Ibadan;Abidjan;Bamako;Ouagadougou;Niamey;Conakry;Freetown;Monrovia;Douala;Yaounde
Libreville
Brazzaville;Lubumbashi;Kigali;Bujumbura;Dodoma;Dar es Salaam;Maputo;Antananarivo;Lilongwe
Gaborone;Windhoek
Mogadishu;Asmara;Juba;Benghazi;Fez;Marrakesh;Marrakech;Tangier;Oran;Nouakchott;Port Louis
Bloemfontein;Soweto
Maracaibo;Barranquilla;Cartagena;Barquisimeto;Arequipa;Trujillo;Santa Cruz;Cochabamba;Managua
Tegucigalpa
San Salvador;Guatemala City;Panama City;Port-au-Prince;Nassau;Bridgetown;Puebla;Leon;Zapopan
Merida;Goiania
Belem;Campinas;Natal;Maceio;Florianopolis;Brasília;Tallinn;Kaunas;Chisinau;Podgorica;Pristina
Valletta;Nicosia
Plovdiv;Varna;Burgas;Cluj;Timisoara;Iasi;Rijeka;Osijek;Maribor;Ostrava;Kosice;Katowice;Szczecin
Lublin;Bialystok
Andorra la Vella;San Marino;Vaduz;Suva;Port Moresby;Nuuk;Gold Coast;Newcastle;Darwin;Hamilton
Dunedin
Recife;Fortaleza;Curitiba;Belo Horizonte;Porto Alegre;Manaus
"""
PLACES: Final = tuple(place for line in _TABLE.split("\n") for place in line.split(";") if place)
