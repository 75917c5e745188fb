; The Windows installer, for Inno Setup 6: per user, without administrator rights. Not run on Windows yet;
; compiled under Wine, and tried there with a stand-in for the app.
; ISCC /DVersion=0.1.0 /DBuilt=FOLDER /DIcon=FILE /DOut=FOLDER /DLicence=FILE mezzotint.iss

[Setup]
AppId={{6B0C8C1E-6D0B-4E4B-9C57-2B7E6E0F5A41}
AppName=Mezzotint
AppVersion={#Version}
AppPublisher=The Mezzotint project
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
ChangesAssociations=yes
Compression=lzma2/max
DefaultDirName={autopf}\Mezzotint
DisableProgramGroupPage=yes
LicenseFile={#Licence}
OutputBaseFilename=Mezzotint-{#Version}-setup
OutputDir={#Out}
PrivilegesRequired=lowest
SetupIconFile={#Icon}
SolidCompression=yes
UninstallDisplayIcon={app}\mezzotint.exe
WizardStyle=modern

[Files]
Source: "{#Built}\*"; DestDir: "{app}"; Flags: recursesubdirs ignoreversion

[InstallDelete]
; What an older version had and this one has not would be imported.
Type: filesandordirs; Name: "{app}\_internal"

[Icons]
Name: "{autoprograms}\Mezzotint"; Filename: "{app}\mezzotint.exe"; AppUserModelID: "Mezzotint"

[Registry]
Root: HKCU; Subkey: "Software\Classes\Mezzotint.Text"; ValueType: string; ValueData: "Text"; Flags: uninsdeletekey
Root: HKCU; Subkey: "Software\Classes\Mezzotint.Text\shell\open"; ValueType: string; ValueName: "FriendlyAppName"; ValueData: "Mezzotint"
Root: HKCU; Subkey: "Software\Classes\Mezzotint.Text\shell\open\command"; ValueType: string; ValueData: """{app}\mezzotint.exe"" ""%1"""
Root: HKCU; Subkey: "Software\Classes\.txt\OpenWithProgids"; ValueType: string; ValueName: "Mezzotint.Text"; ValueData: ""; Flags: uninsdeletevalue
Root: HKCU; Subkey: "Software\Classes\.md\OpenWithProgids"; ValueType: string; ValueName: "Mezzotint.Text"; ValueData: ""; Flags: uninsdeletevalue
Root: HKCU; Subkey: "Software\Classes\.markdown\OpenWithProgids"; ValueType: string; ValueName: "Mezzotint.Text"; ValueData: ""; Flags: uninsdeletevalue

[Run]
Filename: "{app}\mezzotint.exe"; Description: "Start Mezzotint"; Flags: nowait postinstall skipifsilent

[UninstallDelete]
; What the engine's Python has compiled beside its sources.
Type: filesandordirs; Name: "{app}\_internal"

[Code]
procedure CurUninstallStepChanged(Step: TUninstallStep);
var
  Code: Integer;
begin
  // It offers to remove models, settings and the engine, with their sizes; never documents.
  if (Step = usUninstall) and not UninstallSilent then
    Exec(ExpandConstant('{app}\mezzotint.exe'), '--remove-data', '', SW_SHOW, ewWaitUntilTerminated, Code);
end;
