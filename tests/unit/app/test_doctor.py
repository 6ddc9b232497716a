from kerbstone.app import doctor


def test_every_core_package_and_extra_is_looked_at():
    names = {finding.name for finding in doctor.examine()}
    assert {"kerbstone", "python", "machine", "numpy", "pylance", "[sumo]", "[demo]"} <= names


def test_a_missing_extra_comes_with_the_command_that_adds_it(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: "" if name == "eclipse-sumo" else "1")
    findings = {finding.name: finding for finding in doctor.examine()}
    assert findings["[sumo]"].state == "missing"
    assert findings["[demo]"].state == "missing"  # it brings [sumo]
    assert findings["[sumo]"].remedy == "pip install 'kerbstone[sumo]'"
    assert findings["numpy"].state == "ok"


def test_a_missing_core_package_is_broken(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: "" if name == "numpy" else "1")
    findings = {finding.name: finding for finding in doctor.examine()}
    assert findings["numpy"].state == "broken"
    assert findings["numpy"].remedy == "pip install numpy"


def test_a_long_list_of_missing_packages_is_cut_short(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda _: "")
    findings = {finding.name: finding for finding in doctor.examine()}
    listed = findings["[dev]"].detail
    assert listed.count(",") == 3
    assert " more" in listed
    assert len(listed) < 100
