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
