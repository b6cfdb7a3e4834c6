"""Frames of the reference encoder (zstd 1.5), each with a content checksum, and the SHA-256 of their content."""

from __future__ import annotations

import base64

_FRAMES = {
    # five blocks: compressed tables for all three kinds of code; one Huffman tree, then treeless literals
    "blocks": (
        "1be06b5170d1bf97b114adb99522939d61b3c0feb6b3975fe09b4d72779ebc60",
        (
            "KLUv/QRY5AsA0swjF5AVVAfyV9e2qC03H3bXJUkSCo3Xq/IMLUDIQZ7Fba8TOkdpMjkIQUrv+CxuUeT5dPyy0NvrM7SQNRBKx1+yUpqVaQZx"
            "XIp+IHPHm9dVWNxdQ5RqeXt90BkEooubpJ6OVxN5CxBy0F5/lepbiIEzYl/xfBfNCXHhB7hdnBEcNOIs7gFi4AVvzbARD2AevgF0qKHaoBZW"
            "s98BEByjnLwDEeQ0yKgZ26YxMIjgD85kRqAoejKtR9rLqxWmPbryZfXwN3qRKlrFUUl78OJjXQ3bo5iShQQ9bvIHjgGBDDSRVCNbETcH0xZ6"
            "4pk/IJgpnWpX7CyyqtcBFG2fWhqg0kfgkrWDY5SwN5mSviKzPDF+pw1Jf2hTP2gQvK6Jnk1CInM1VhtCQWDbVeQn9nkR6izgKsCWRg0vLZK4"
            "8RmchDb+nsZd73k4WaKjmICnQuZOi0z0bsfVKtByEfGsUvVE4Vse31yOxrYUmMxj2EZgXEA4LdVwE/tDTi5JqQIkCgBTRxEtxMBPQd9EdBR1"
            "rMioNBZKhrC4ZJVVkkELodVeO/4yx/FY5o7b62WSKUvTSugsrkJkoJSIUep7Fneg4ng/wCVaFFJncTN8qGC1hjQGIEJikEJ4BxAqpa5ocz4u"
            "TXzmLYTYbQ75iJvEMDj97esWajz//8Ug3pQGY9NJiwpxXo4aGuXKxMLFzL1ENmgtERn0GYaz/mt7r/whsJSk9ktvPxWbbJYrfVFfjoCjCxcA"
            "CVVqqewJlX54NCqwgfGr21dwdJau11aQZHgR5dLeSEB+C4XK6IA9DCAEwMaaULcFqPTqbogmOVoX4mDCkG5D1/DIC9/Lx3YcjdK4mtJfyJmU"
            "+0bzQzuJdmj0M00ZOGQTprcsyGMQTf3QMtnvrPaBQ/gyrr8McNhsPrXMO65rUjJjIGxFT8BHSd93MZQGkEpGvkKoaXi8CQDjhQ3mqESjPIcq"
            "X6Lr7XXekPI9IQXpWdxdiJx1Nr8J6Tp3rKoQYsxKd5zpuBhjRtFhzuKqMukodQJ0qGBHlLQGIEJCkDFVexAyZKqmKOmJ4q6FSUv0DaTBTTOE"
            "h9+eiSeZkf0kVOI2/IfgLHLL64yvOuh4QdNC3iUrvpKp1trzeJkTphj3/c0rCTfHcGxCnL4JXPQMANgsHZICo959xFQb+XyY7SSx0AScwyCE"
            "Fiy1HJ6lGDVmVWndoHa/K+hy5BiJPOIxymB8jmVtq8vrPwiW78OyuIJhX6a0nEvlXq5oATKbUqih9FGxxGN3VKM5ipNUdCF7U8nOGVTqego+"
            "0acZx3SlDUtCC86cbVw1ceBCjOpsIEsSO2jVX+RYmUB7BY5kXcqjBunk6FQUMFRWAM3QEv5xqJD8cAwKALNFDQHMg0rIMTGoqJaENL29VktT"
            "UjUHaRnru3q+mlYyd7xUiSp9EnTUrFxKnoYcpAcZ/SpUijkBc6hwReoQFEKIYux8EYQQ8iBEVqVJB2HDWl18I8UOcuZ+IIV9ElELAo2PaO46"
            "THs2HBboaoBExA7h17MoOp/IaJlsKPvKnKqTWTm6G0TnTPOsO8kKBs83ey//7M4+VdPYGc51hF7mtHJhOR9JO1NQ2EZ+AyYe72TADftt96IH"
            "K/eHauMu189xQOKsnEuz6OxuSFGhkdEsoSVdDTDrIL/AOst1ISATmQRqaL8U1lGZ37AIieOo0VHJVrOaboAt5k0p4m/82vtAqkB0lXsY/NK0"
            "TIgmjluP5AdLdGDymhbBMcVWTbP23TyDdNt3FEepN3jkNxur5Vx/N4PbD0R1+89RY9hPBsgrXYgCAiQKALPFDa0ZNiKpUbrOQkWRSSuhPQTt"
            "65OMSumcklRCa6guU0b5llISSUWlRNIxJaFl0JakSnut6cniWBpzqGCHHhAUYgxCV3wRZBglOYOOJOrPzu6BSHSEY35n9GZtYM3P5YYjzvmQ"
            "NjFkbfwb228ZjNM2xSwnJwnNYu50E11J2OKgBel6ynnE9jvexG44gJSpX27XTKgQ4r28EPBs/6GNuCSLKrOcJqLxIHlnTY58TItHJhonTA9X"
            "t794wXBTDy4Unc7fddV2xMYo5wWdTjIVpMIRD4xp9jGpCMQulEQw5AlXHsqyW8PCBC0tlTygEI3HV3kROUx+4kVMhX5zGloO7KIGycdIISDi"
            "Z4AE6CSsVojYmBt9mdcqS0gEIW1LRMbRrtMggBEu9xAH4M5KB66F2zpQC2x5p6b6u8sr+pMfoFl223jyCgEAABgoeMA="
        ),
    ),
    # level 19: four streams, and repeated tables for literal lengths and offsets
    "repeats": (
        "21b4c6692d25cd04e082a456b62b417f847aa896201ac5202df6c4ed98898b73",
        (
            "KLUv/QRoPBIAJhxUHhCRdSRqvRQqRAAAYHKbNQz4t8Me0NZ1s7S7qqjrglIASgBHANBjMb5/JKg6+6VwVUE234sjKbJELhfm0JTPHlZ1J/sr"
            "QqFYDAfkepXv/RWpZCoI5uwXxvGIVCrKLZTqwrxxsRiNSnVJJQNh3HFZFMflE8uyvApVvurcIL0446KbvgGvaZOB2IIMo6R4Ng3wplVQ+PtP"
            "30UoIdvBP3XxkBGDxyYpivIEscdaKV+cLcOUFD0XW+qRJGapiWWIYgxyPQk4rwgQ+s1+ayq1vt3eunmTdK27YJ9FvGsosIcXurY7r6MiQtoA"
            "pgafm9UJyMTdXTRN7VE7/LxTY2t5w3veFNl5rZcNpq9502A24B06NwHzvBFGEWowWkzFFl17MtsunHq/lvBoPgDJ2AwxYHNbekiYc9C673Pa"
            "iw4NYggRFPVenY2ThdfQ3rbrWW87zWkif6iBmkFJUpB6ZOMghCDELDswAkYqRVMNB95wUFUd2A+jFbQ/VXldltjk1p7bi7RmOOwJLB+We+CH"
            "wRI/5vHFPBX5dbq8YRywiwfcpYUpBeQr1Agj7ds4FYUBaAaATlXIzT/yBkOcLOe5CIpqrR97vQ1O4boUG4ErWQRwghPho7Ks/1STH2XXKQRk"
            "hWmJ/S1IvgKDbEiEYO3epihtT022MBKzHkYvA/cWOnuavgSTz0hGVKK9f6P5E8e8/idVlZC2brgv74woQr9Nw8JY5AoTfDLjrePHhxKnF61K"
            "FtQRx6N9FyUO9Mzd7m0OX0ginFK8P91ABRQQAIbWPxpAa3bDMADbOE3TWkdDDRB48jaqSJNyhq87EzwANgA2AG9Qd6OyZ77UQV+scjuIibNR"
            "FhiXOiWFdTZSUWqssZFz1ioZAKxVNrIuTW0mnQqcTaNISuFsNJQl0kkBAQm5dcmyxCbM2irYFNPobKpFp0/bNseQd84e9ZSYwmqVGIaglBjr"
            "batOa2D2dnfqHKlUDsF/9efEhy62bJ/hWcnMnWBOkJ3Qr/6fxkfBf1r9cVxC4qBRcnUku6gPAeIWcTKwC3lJL37lydoEDOidSdMa0k7WdSGD"
            "N/I9iOQU683WlELw6qaavdH5Ln6Cc1gcu1qO9fS2ff/DHcV8hoe/L99wHn/oIAKCjGJU5QExCM1Aj8jJamU/A71bQBXJFJws+A2/03hnVjaR"
            "86koQ4iwI6RvpUHZHMiwEGscEKFjzpHvcEitNdjWNZqmrYUEBV3A3GupTSypYLm6VtoKQD2i91Qigf1WgpyWjTN2zC/vKewJzRZ5XAyXAFeU"
            "nW9a6sCulgAqS8BTeQrKXI9/CMj/uj+AYoz7q/SyIOgpjBvwlEc88TNSWSrOw+2vCz6RIZWYew4M/vthiN2ymaTmMtoq5wqeuW32IwmgG19h"
            "MCGPiN60faR8mjO+LgAiZ3QpsWt3P6xqyPORuZaLTrbKUfjwFTYWuEQ1eJBENbci7OPqNAQsxhE8DwBmlj0ZQIt1wzC8WzmO+yH3PM9r1COo"
            "WSlnhtc1JjoANQA0ANBQbSRFK30pW7l5/nFpsAmgew3A0UEv7JwjhMtrFqc0CoBZGuUJIMDOxdgwABhjbPC1+ASRUQQCxQV/wBCPVcxpJJ9D"
            "WcueqlKZ9njtDIlTIHHO8yWdwfRIm7DX6ZA/uouaTNVnErjadnzROdBxLwpe05Hng7mox8gI+TqGeKXC6sOZdbJFyRKgfRJ2sbd6t42x14u8"
            "/WZUcZOIk1BskpOJ2kFKm0L+/VsPIMzL07SA0gvGMdRnkLVupslQPX96lfKuR50F4zlPJwVdEihtMuVd/Dz8PgxtuCGPbKixX2MxBCgBAw2R"
            "5Ma2hQP1QPXzQeUtg+MgeclmV4Wn/JIzdHq+yd8sY/q/YOPBwwnfcVKT2RPM5MIUJpEU1ytIawDBTLOhc5MbHhUqv7FjhgBW25N0EnNzhUIx"
            "udx0TvEDsaD6RgBnBtOeoUEw7cwTMITlB6LArrH8I2FPS6ZJXEHpLomxSd9ZINAa01Lc6krsyuuy+k9lhyEyOFsef6O2nf5lJXYQkRuZgYFq"
            "b3l1UjG/yrgcjDtPlCex8+mM0gqaFYNGlI6khPwVPemRgjMZBP2qEPTAVGRlxKBigLyxRDPuXdsxyZScdA8A1pY+ExDTDun/9xBgFQkBT77d"
            "CAAAADg4ADkAOQDMijJUe/1q7dacWeZSEi5oxIvob7h8NyQyXUr3ePgbcEJ3OWWc7oWBePEe5/QiFsdPPz468oYRj1sImyxN8K1KgAjUMidC"
            "LS8Si6nxionAmx3wBl2bKDvrcAA/Tcstxxb6Ae+qVsTuK8q1LrdB4WOYAqk9CjSrGjXrHSgAspJq/6+N7cfJJq5qTEwFw4tDf6TauSsKBTrK"
            "yM/Auk9iswMRTHXQsaCqym9QG/+Np65SyNSqkJbYoVnCNLU2T4mYyrGj6loZ3KScAHGiC2DP7Utej6FpC8nBbipBdiyJqXtSmGnoIAJCCDJU"
            "ZR4hBCCB0oiBRJOiTQrTGFUPA2YUW6GSoOeV6DYSqYh8t6Gxq2nKE0Z1ITt3YBN3QgthEuORBm7Vw+9T3iM3YMvQeR4VleersGuxQ0Ug7sAN"
            "cUPbIPoxHIY+jBjufJld5W5LQMpBMla7zS6kSQ5RKO+f49sCj0Rc6wraLHf11/RQKARCJinEhUo7rQBmwnvLfIfQ1WQD7X8nAvno+L2F1R9T"
            "ca99mCALMnqhPqtFpd7TYRsXs78YRP9z+FDzcycrgJ8+xu89Vp0N15uy5jhHr3C9D2n9O2M/JVimwvzmlGWmigJ5ganKVhMBAAA86X8N"
        ),
    ),
    # Huffman literals alone: a tree described by FSE, no sequences
    "skewed": (
        "b2205336e59abd99d40c91e9944e9f4dcbb697129a3929d0cebcca8fbb5d7a5f",
        (
            "KLUv/QRYBA4AxitvGRCHih5fdTw/CzQEQdFH/9tdUqSMAAAAAAFmAGUAbAA/zrGpGk6rXVHntfRg9weRJSZAOCRQiSPjo+CW1NH4TV7sNdv7"
            "acUpb+kC1oBx2AlUa4+To1SnIO6y88fkCbejbdEfkwsyxF+Rh6n/RreHx7OOAogtfN8qiD9v2GXaumswNVyqPQHqnL1r3aREtLnfkX5SzGCR"
            "E4TG4aRG/XAuvEeg/ug7RCExFKigNmQ5V0VCMqB0zeL5eJN6PNah9j1sz/6/3gNgPRGhjP2nZRuXODt8q3Mn/4L8LLoiFPkj14fgmnmWS2s/"
            "Ja/MKofFcEEKT3c+5EHaEFVIERnjITVjYKFIpEMYRCwOAHr83eQMU7ZI6v49csAIfQVnyB+jR2HF3EBPFI8YIE0s1j55CcKc5GBkYKhoUIB5"
            "z1uzjUPsgT0gfFKZ6e1IA4gLLGKsdKgbnpXLEwvFXpyQfz9q8pVwfEjAMVey9g4KabxP8xe9DVVZnH7rhbLz+ko83i5cUxaIFbex7nBunZVH"
            "6D8AWlZdkOmCTnkcrhNSuxZ4JaXGMrqLoi8lJukwGYkRVclVozqEZ+SRRLsOE2odl0sCAAEAAKwsyV0="
        ),
    ),
    # matches that overlap themselves, predefined tables
    "runs": (
        "c50743e48418433cc8fc75c2d65aeca972c5332ddcdefd4ff83c59d55dd4d523",
        "KLUv/QRI1AAAWGFiY2RleGFiY2RlAwByWEIKaIfzrxxU0QIBAAA+sWfW",
    ),
    # repeated tables for offsets and match lengths
    "match_repeat": (
        "9bd01a7001e545043bad2c4e96a3d45cb8ca32e1bd7d3868affd40bf86b8dc7a",
        (
            "KLUv/QRgdAMAsocPEbBpOXxrRpZroBZkmhmGYRQEZW0cAFuFHAlGEAm0EBjyYKE4FIRy+uVtn1Xneq+y6no2375KT8us0pumqwETKBAaBmEP"
            "EIq7Da8A9A0JsBkQ5dkWO/jPgMo+IgFjHGtVow4gygAO0hvgPAEoAABhZGFjZLwBAGIECQrg6Y1bqSQbQB0BEDIrt9xKW7k9J4TM63dXubSf"
            "3psEIQMhEwY8zIBzAvdkXMtuZEc0AQEBAADdy2pR"
        ),
    ),
    # treeless literals in four streams
    "treeless4": (
        "ff78408bb4ee9325748fb1b6cb66f037c12347c34054e278ec3f3aa4717e914a",
        (
            "KLUv/QRolAEAokECBOAPgVEzCnsFDoAw7IJrU8EeQpSlEfMGiR6fQsYmoWeKOVoQ1xwPODlxAKAcKAEoAABhYWFhYewCAKehEhEAEQARAEiC"
            "YsxIIYwqQJAwkTpGrEiFoK9yUCoRgKhBTGIQ5MxWRbiUgqg3lBNQB0gTWeAQGNoFnCCRQagpqqPIIxysjpyQVCwxBAAde9vmPF/l4E8zR82h"
            "nAEAACpwzCw="
        ),
    ),
    # an offset table of one code
    "offset_rle": (
        "dd9bcc62d9708c1624612d31bd78fa66df76487e8dd79904df6085ca4d790a50",
        "KLUv/SRkdQAAKAEAAQABAxAADsbxZgNmS1bd",
    ),
    # a literal length table of one code
    "length_rle": (
        "e9511769f914bf8e014a78b5f18ca4f01a03edbc1433b57ae71924be33bec167",
        "KLUv/SRkdQAAMAEBAAEAAQNQAgBTKDQDAC2s",
    ),
    # a match length table of one code
    "match_rle": (
        "0688f93a4a08eaa34fe9638742e95e2b08336b263b0b48a7bfdc52e47a82bc68",
        "KLUv/QRo/AAAsHCLa51+c2FsZnBhdWKcjm6Jf4GDZ34DBAVggMFlCQEAACPbfYk=",
    ),
    # a Huffman tree with weights written out
    "direct": (
        "df1bcb67f26d3cd331a4bd61732cf939659b3d1501c7eaf337db133dbac6f852",
        "KLUv/SRklQAAckEBgBADUIADACqEwGpMSYAEzUfv9A==",
    ),
    # raw literals with a two-byte header
    "raw12": (
        "cbbddcebd33d430fe541d0526e5b389bb499d7bd9150c0644791f3e25f5ee142",
        "KLUv/QRIPAEABAJhYWtxZGhmdWNvcGF3Y3dzZ25wc3Z6aWRieHN4amJhagEAPwEWAQAA9rfCZQ==",
    ),
}

FRAMES = {name: (digest, base64.b64decode(frame)) for name, (digest, frame) in _FRAMES.items()}
