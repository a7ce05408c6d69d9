"""Places, streets, organizations for the notes of `deid.generator`: real places, invented firms."""

from __future__ import annotations

from typing import Final


def _lines(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.replace("\n", ";").split(";") if item.strip())


CITIES: Final = _lines(
    """
    Abilene; Ada; Alamosa; Albany; Altoona; Amarillo; Ames; Ann Arbor; Asheville; Astoria
    Bangor; Baraboo; Bar Harbor; Baton Rouge; Beckley; Bellingham; Bend; Bismarck; Boise
    Bozeman; Brattleboro; Butte; Cape Girardeau; Carbondale; Carson City; Casper; Charleston
    Cheyenne; Chillicothe; Coeur d'Alene; Corpus Christi; Council Bluffs; Decatur; Denton
    Dubuque; Duluth; Durango; Eau Claire; El Paso; Elko; Escanaba; Eugene; Evansville; Fargo
    Flagstaff; Fond du Lac; Fort Wayne; Galveston; Gillette; Grand Forks; Great Falls; Greeley
    Hagerstown; Hattiesburg; Helena; Hilo; Hot Springs; Houma; Idaho Falls; Ithaca; Joplin
    Kalamazoo; Kalispell; Kenosha; Ketchikan; La Crosse; Lancaster; Laramie; Las Cruces
    Lewiston; Lubbock; Macon; Manhattan; Marquette; Medford; Meridian; Minot; Missoula; Moab
    Muncie; Muskogee; Natchez; New Bern; Ogden; Olympia; Oshkosh; Owensboro; Paducah
    Pensacola; Pierre; Pocatello; Poughkeepsie; Pueblo; Racine; Rapid City; Rolla; Roswell
    Rutland; Saginaw; Salina; San Angelo; Santa Fe; Saratoga Springs; Schenectady; Scranton
    Sheboygan; Sioux Falls; Sitka; Spokane; St. Cloud; Steubenville; Taos; Terre Haute
    Texarkana; Topeka; Traverse City; Tuscaloosa; Twin Falls; Utica; Valdosta; Visalia
    Walla Walla; Wausau; West Lafayette; Wichita Falls; Williamsport; Yakima; Yuma; Zanesville
    Aarhus; Accra; Adelaide; Almaty; Antwerp; Aswan; Bergen; Bilbao; Bogota; Brno; Bulawayo
    Busan; Cali; Chennai; Cork; Cusco; Dakar; Davao; Dundee; Durban; Esfahan; Fukuoka; Gdansk
    Genoa; Ghent; Hanoi; Heraklion; Inverness; Izmir; Jaipur; Kampala; Kaunas; Kingston
    Krakow; Kumasi; Lahore; Leeds; Limerick; Ljubljana; Lusaka; Lviv; Malmo; Managua; Medellin
    Mombasa; Nairobi; Odense; Oaxaca; Osaka; Oulu; Perth; Plovdiv; Port-au-Prince; Porto; Pune
    Quito; Riga; Rosario; San Salvador; Santo Domingo; Sapporo; Seville; Swansea; Tamale
    Tartu; Tbilisi; Tijuana; Tripoli; Uppsala; Valparaiso; Varna; Winnipeg; Wroclaw; Yerevan
    Zagreb; Zanzibar
    """
)
COUNTIES: Final = _lines(
    """
    Dane County; Cook County; Maricopa County; Washtenaw County; Yavapai County; Kern County
    Bexar County; Orleans Parish; Caddo Parish; Tompkins County; Multnomah County
    Gallatin County
    """
)
STATES: Final = _lines(
    "AL AZ CO CT GA IA ID IL KS KY LA MD MI MN MO MT NC NE NM NY OH OR PA TX UT VA WA WI".replace(
        " ", ";"
    )
)
STREETS: Final = _lines(
    """
    Alder; Ashgrove; Barberry; Bayview; Beechwood; Birchmont; Blackthorn; Bluff View; Buckeye
    Canterbury; Cedar Hollow; Chickasaw; Cloverdale; Cobblestone; Copper Kettle; Cottonwood
    Dogwood; Elderberry; Fairmount; Foxglove; Gooseneck; Granite; Hackberry; Hawthorne
    Heron Lake; Hickory Nut; Ironwood; Juniper; Kestrel; Larkspur; Linden; Lost Creek
    Magnolia; Martin Luther King; Meadowlark; Mill Pond; Mockingbird; Nettle; Oak Ridge
    Old Quarry; Orchard; Peachtree; Pepperidge; Persimmon; Pheasant Run; Quail Hollow; Redbud
    Ridgeline; Sagebrush; Sandpiper; Sassafras; Stonegate; Sugar Maple; Sycamore; Tamarack
    Thistle; Turkey Trot; Wagon Wheel; Whippoorwill; Wisteria; 14th; 3rd; 22nd; 101st
    Jefferson; Lincoln; Roosevelt; Harriet Tubman
    """
)
SUFFIXES: Final = _lines(
    """
    Street; St; St.; Avenue; Ave; Ave.; Road; Rd; Drive; Dr; Lane; Ln; Court; Ct; Boulevard
    Blvd; Way; Place; Pl; Circle; Terrace; Trail; Parkway; Pkwy; Loop
    """
)
UNITS: Final = _lines("Apt {}; Apt. {}B; Unit {}; Suite {}; #{}; Apartment {}; Lot {}; Fl {}")
# House number, street and its kind as other countries write them; `{}` is the number.
FOREIGN: Final = (
    ("Hauptstraße {}", "69117", "Heidelberg"),
    ("Lindenallee {}", "04109", "Leipzig"),
    ("Am Kirchberg {}", "79104", "Freiburg"),
    ("Gartenweg {}", "24103", "Kiel"),
    ("{}, rue des Lilas", "69003", "Lyon"),
    ("{} avenue Jean Jaurès", "31000", "Toulouse"),
    ("{} boulevard de la Liberté", "59800", "Lille"),
    ("{} bis, chemin du Moulin", "35000", "Rennes"),
    ("Calle de Alcalá {}", "28014", "Madrid"),
    ("Avenida de la Paz {}", "46002", "Valencia"),
    ("Calle Mayor {}, 2º B", "50001", "Zaragoza"),
    ("Plaza del Sol {}", "29012", "Málaga"),
    ("{} Station Road", "SW1A 2AA", "London"),
    ("{} Church Lane", "EH3 9DR", "Edinburgh"),
    ("Flat {}, The Old Mill, High Street", "BS8 1TH", "Bristol"),
    ("{} Victoria Terrace", "CF10 3NS", "Cardiff"),
    ("{} Spadina Crescent", "K1A 0B1", "Ottawa"),
    ("{} Granville Street", "V6B 4Y8", "Vancouver"),
    ("Via Garibaldi {}", "40121", "Bologna"),
    ("Keizersgracht {}", "1015 CJ", "Amsterdam"),
)
ORGANIZATIONS: Final = _lines(
    """
    Alder Creek Medical Center; Ashby Veterinary Supply; Bayou Teche Clinic
    Beacon Hill Pediatrics; Bitterroot Valley Hospital; Blackwater Logistics Inc.
    Bluestem Family Practice; Bright Harbor Hospice; Brookhollow Rehabilitation Center
    Camelback Cardiology Associates; Canyon Rim Surgical Center; Cascade Timber Products LLC
    Cedar Bluff Elementary School; Chesapeake Steel Corporation; Clearwater Dialysis Center
    Coastal Plains Health System; Copper State Foundry; Cottonwood Falls Nursing Home
    Cumberland Gap Hospital; Deer Isle Boatworks; Driftless Region Dairy Cooperative
    Eastgate Urgent Care; Edgewater Behavioral Health; Elkhorn Community College
    Evergreen Orthopaedic Group; Fairhaven Assisted Living; Finger Lakes Eye Institute
    Flint Hills Regional Hospital; Fox River Paper Company; Galloway & Sons Plumbing
    Glacier Point Outfitters Ltd; Grand Mesa Oncology; Great Basin Pharmacy
    Green Lantern Bakery LLC; Gulf Stream Marine Corp; Halcyon Insurance Company
    Harbor Light Baptist Church; Hartwell Textile Mills; Hiawatha Sports Medicine
    High Plains Credit Union; Holy Family Hospital; Huron Shores Hospice
    Indian River Citrus Growers; Iron Range Mining Company; Juniper Ridge High School
    Kettle Moraine Brewing Co.; Kingfisher Home Care; Lakeshore Imaging Center
    Laurel Mountain Hospital; Little Traverse Clinic; Lodestar Diagnostics
    Lone Pine Dermatology; Lost River Lumber; Magnolia Women's Clinic; Maple Syrup Guild Inc
    Marrowbone Fire Department; Mesa Verde Middle School; Mill Creek Dental Associates
    Mirror Lake Sanatorium; Mohawk Valley Hospital; Monarch Freight Lines
    Mount Olivet Lutheran Church; Natchez Trace Medical Group; New River Gorge Clinic
    North Fork Elementary School; Northern Lights Neurology; Oak Hollow Skilled Nursing
    Old Dominion Glassworks; Otter Tail Power Station; Ouachita Baptist Hospital
    Ozark Poultry Farms LLC; Palmetto Infusion Center; Paragon Reference Laboratory
    Penobscot Bay Hospital; Piedmont Sleep Center; Pine Barrens Trucking; Prairie Wind Hospice
    Quinault Tribal Clinic; Rainier Valley Physicians; Red Cloud School District
    Redwood Coast Hospital; Riverbend Correctional Facility; Rocky Top Quarry Inc.
    Sabine Pass Shipyard; Sacred Heart Academy; Saddleback Urology; Saint Brendan's Hospital
    Sandhills Medical Center; Sawtooth Physical Therapy; Seven Oaks Psychiatry
    Shenandoah Apple Growers; Silver Birch Nursing Home; Skagit Valley Hospital
    Snake River Potato Company; St. Eligius Hospital; Stillwater Methodist Church
    Sunflower Home Health Agency; Susquehanna Rail Corporation; Sweetgrass Medical Clinic
    Talladega Tire & Rubber; Tamarack State University; Three Forks Hospital
    Tidewater Shipping Company; Umpqua Savings Bank; University of Northern Ozarks
    Vermilion Bay Seafood; Wabash Tool & Die; Walnut Grove Dialysis; Wapiti Ridge Hospital
    West Branch Rehabilitation Hospital; Whitetail Ammunition Corp.; Willamette Eye Clinic
    Windward Maternity Center; Zion Hill Clinic
    """
)
FOREIGN_ORGANIZATIONS: Final = {
    "de": (
        "Klinikum Sonnental",
        "Praxisklinik Weidenhof",
        "St. Marien-Hospital Altbrück",
        "Universitätsklinikum Rheinau",
        "Bergmann Maschinenbau GmbH",
    ),
    "fr": (
        "Clinique des Trois Chênes",
        "Hôpital Sainte-Odile",
        "Centre hospitalier de Valmorel",
        "Laboratoire Beauséjour SARL",
        "Polyclinique du Vieux Port",
    ),
    "es": (
        "Hospital Santa Lucía del Mar",
        "Clínica Los Olivos",
        "Centro de Salud Fuente Clara",
        "Hospital General de Valdeluz",
        "Transportes Rioseco S.L.",
    ),
}
