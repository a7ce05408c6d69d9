"""Organizations that everybody knows and no rule would: typed for this purpose, few on purpose.

Names that are also words (Shell, Target) are not here: what stands around them has to tell.
"""

from __future__ import annotations

from typing import Final

_TABLE: Final = """
Google;Microsoft;Facebook;YouTube;Netflix;Spotify;Airbnb;Amazon;IBM;Intel;Nvidia;Cisco
Oracle Corporation;Adobe;Samsung;Sony;Nintendo;Panasonic;Toshiba;Hitachi;Fujitsu;Huawei;Xiaomi
Lenovo;Alibaba;Tencent;Baidu;Nokia;Ericsson;Siemens;Bosch;Philips;Volkswagen;BMW;Daimler
Mercedes-Benz;Porsche;Audi;Toyota;Honda;Nissan;Hyundai;Peugeot;Renault;Fiat;Ferrari;Volvo;Chrysler
Boeing;Airbus;Lockheed Martin;Rolls-Royce;Lufthansa;Ryanair;EasyJet;KLM;Qantas;FedEx;DHL;Maersk
ExxonMobil;Chevron;Gazprom;Petrobras;Nestlé;Unilever;Danone;Heineken;Coca-Cola;PepsiCo;Starbucks
McDonald's;KFC;Burger King;Walmart;Costco;Tesco;Sainsbury's;Lidl;Aldi;Carrefour;IKEA;Zara;Nike
Adidas;Reebok;Procter & Gamble;Johnson & Johnson;Marks & Spencer;Ernst & Young;AT&T;Verizon
T-Mobile;Vodafone;Telefónica;Comcast;Disney;Warner Bros;Paramount;Universal Pictures;HSBC;Barclays
Lloyds;Citibank;Citigroup;JPMorgan;JPMorgan Chase;Goldman Sachs;Morgan Stanley;Wells Fargo
Credit Suisse;UBS;Deutsche Bank;Commerzbank;BNP Paribas;Société Générale;Santander;UniCredit
Nordea;Mastercard;PayPal;Western Union;MetLife;Allianz;AXA;Prudential;State Farm;Deloitte;KPMG;PwC
PricewaterhouseCoopers;McKinsey;Accenture;Infosys;Wipro;Tata;BBC;CNN;CBS;NBC;MTV;Fox News;Reuters
Bloomberg;Financial Times;The Guardian;Le Monde;Der Spiegel;El País;The Economist;Washington Post
New York Times;Wall Street Journal;USA Today;Rolling Stone;Entertainment Weekly;Billboard;Forbes
Vogue;FBI;NASA;NATO;UNESCO;UNICEF;Interpol;Europol;Greenpeace;Amnesty International;Red Cross
Salvation Army;Scotland Yard;World Bank;European Union;European Commission;United Nations
White House;Pentagon;Kremlin;Federal Reserve;House of Commons;UCLA;ETH Zurich;Harvard;Stanford
Princeton;Oxford University;Sorbonne;Karolinska;Louvre;Guggenheim;Tate Modern;Smithsonian;Beatles
Rolling Stones;Pink Floyd;Led Zeppelin;Radiohead;Metallica;Coldplay;Nirvana;Real Madrid
FC Barcelona;Bayern Munich;Juventus;Manchester United;Manchester City;Chelsea FC;Yankees;Red Sox
Lakers;Twitter;Instagram;LinkedIn;WhatsApp;Wikipedia;eBay;GlaxoSmithKline;AstraZeneca;Pfizer
Novartis;Associated Press;Blue Cross Blue Shield;Blue Cross
"""
KNOWN: Final = tuple(n.strip() for line in _TABLE.split("\n") for n in line.split(";") if n.strip())

# Too many to be tried with the others; the first word of each is where it is tried.
_COMPANIES: Final = """
Apple Inc;Dell;HP Inc;Kodak;Canon Inc;Nikon;Casio;Rolex;Gucci;Prada;Chanel;Hermès;Uniqlo;Primark
Decathlon;Levi's;Kellogg's;Nestle;Kraft Heinz;Ferrero;Lindt;Tesla;General Motors;Mazda;Subaru
Skoda;Jaguar Land Rover;Land Rover;Caterpillar Inc;John Deere;General Electric;Halliburton
Schlumberger;Equinor;Repsol;TotalEnergies;Bayer;BASF;Roche;Sanofi;Moderna;BlackRock
Charles Schwab;Capital One;Bank of America;American Express;Rabobank;ABN AMRO;ING Bank;BBVA
CaixaBank;Intesa Sanpaolo;Crédit Agricole;Raiffeisen;Erste Bank;Danske Bank;Swedbank
Handelsbanken;ICICI Bank;HDFC;HDFC Bank;Standard Chartered;Royal Bank of Canada
Royal Bank of Scotland;Scotiabank;TD Bank;Westpac;Commonwealth Bank;NatWest;Monzo;Revolut;N26
Geico;Allstate;Aetna;Cigna;Humana;Kaiser Permanente;UnitedHealthcare;UnitedHealth;Liberty Mutual
Best Buy;Home Depot;Whole Foods;Trader Joe's;Kroger;Walgreens;Rite Aid;Safeway;Publix
Target Corporation;Macy's;Nordstrom;Sears;Kmart;Waitrose;Morrisons;Asda;Auchan;Mercadona;Rewe
Edeka;Kaufland;JetBlue;United Airlines;American Airlines;Southwest Airlines;Delta Air Lines
Air France;British Airways;Turkish Airlines;Qatar Airways;Singapore Airlines;Cathay Pacific
Alitalia;Finnair;Uber;Lyft;DoorDash;Deliveroo;Grubhub;Zomato;Stripe Inc;Shopify;Salesforce
Dropbox;Zoom Inc;Snapchat;TikTok;Reddit;Pinterest;Expedia;Booking.com;TripAdvisor;Hilton
Marriott;Sheraton;Hyatt;Ritz-Carlton;Holiday Inn;Telenor;Etisalat;Telstra;Olive Garden;Taco Bell
Wendy's;Domino's;Pizza Hut;Nando's;Chipotle;Shake Shack;Panera Bread;Dunkin' Donuts;Dunkin
Tim Hortons;Applebee's;Papa John's;Le Figaro;Libération;Die Zeit;Süddeutsche Zeitung
Frankfurter Allgemeine;La Repubblica;Corriere della Sera;La Stampa;El Mundo;Politiken
Aftenposten;Dagens Nyheter;Helsingin Sanomat;Gazeta Wyborcza;Times of India
Sydney Morning Herald;Toronto Star;Globe and Mail;Chicago Tribune;Boston Globe;Los Angeles Times
Der Standard;Al Jazeera;Sky News;Daily Telegraph;Irish Times;New Yorker;Newsweek;ESPN
Fleetwood Mac;Green Day;Pearl Jam;Daft Punk;ABBA;Kraftwerk;Sigur Rós;Iron Maiden;Arctic Monkeys
Dire Straits;Black Sabbath;Deep Purple;Foo Fighters;Guns N' Roses;Red Hot Chili Peppers
Depeche Mode;Linkin Park;Imagine Dragons;Beach Boys;Backstreet Boys;Spice Girls;Yale;Caltech
UC Berkeley;Columbia University;Cornell;McGill;TU Delft;KU Leuven;TU Munich;Sciences Po
IIT Bombay;IIT Delhi;Tsinghua;Peking University;King's College London;Imperial College
London School of Economics;Trinity College;Habitat for Humanity;Doctors Without Borders
Médecins Sans Frontières;Oxfam;WWF;YMCA;YWCA;Save the Children;World Vision;Caritas;Rotary Club
Lions Club;Boy Scouts;Girl Scouts;Chicago Bulls;Boston Celtics;New York Yankees;Dallas Cowboys
Benfica;Ajax;Arsenal;Liverpool FC;Paris Saint-Germain;Inter Milan;AC Milan;Borussia Dortmund
Atlético Madrid;Boca Juniors;Galatasaray;Fenerbahçe;Supreme Court;Home Office;Foreign Office
European Central Bank;World Trade Organization;Bank of England;International Monetary Fund
Environmental Protection Agency;Federal Trade Commission;Security Council
House of Representatives;House of Lords;State Department;Justice Department;Treasury Department
Defense Department;Bundestag;Bundesbank;Knesset;Duma;European Parliament
"""
COMPANIES: Final = tuple(
    n.strip() for line in _COMPANIES.split("\n") for n in line.split(";") if n.strip()
)
# Behind `the` only: most are short words elsewhere.
AGENCIES: Final = tuple(
    name.replace("_", " ")
    for name in """
    SEC IRS FDA CDC FCC FTC EPA DOJ DHS TSA NHS IMF UN EU CIA NSA DMV ECB FAA USDA OECD WTO OPEC
    IOC FIFA UEFA NBA NFL NHL MLB HMRC BBC ACLU NAACP AFL-CIO NRA DEA ATF USPS NYPD LAPD ICC
    Treasury Senate Pentagon Vatican Kremlin Bundestag Knesset Congress Parliament Fed
    World_Health_Organization
    """.split()  # noqa: SIM905 - a table of words
)
