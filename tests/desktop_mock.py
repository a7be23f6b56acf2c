"""A desktop for the tests: a notification service on the session bus and logind on a system bus of its own.

Prints every call as one JSON line into the file it is given.
"""
import json, os, subprocess, sys
import dbus, dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

DBusGMainLoop(set_as_default=True)
out = open(sys.argv[1], "a", buffering=1)


def say(**what):
    out.write(json.dumps(what) + "\n")


class Notifications(dbus.service.Object):
    count = 0

    @dbus.service.method("org.freedesktop.Notifications", in_signature="susssasa{sv}i", out_signature="u")
    def Notify(self, app, replaces, icon, summary, body, actions, hints, expire):
        Notifications.count += 1
        say(notify=str(summary), body=str(body), hints={str(k): str(v) for k, v in hints.items()})
        return dbus.UInt32(Notifications.count)

    @dbus.service.method("org.freedesktop.Notifications", in_signature="", out_signature="as")
    def GetCapabilities(self):
        return dbus.Array(["body", "sound"], signature="s")

    @dbus.service.method("org.freedesktop.Notifications", in_signature="", out_signature="ssss")
    def GetServerInformation(self):
        return ("mock", "tests", "1", "1.2")


class Logind(dbus.service.Object):
    held = []

    @dbus.service.method("org.freedesktop.login1.Manager", in_signature="ssss", out_signature="h")
    def Inhibit(self, what, who, why, mode):
        read, write = os.pipe()
        GLib.io_add_watch(read, GLib.IO_HUP, lambda *_: say(released=str(what)) or False)
        say(inhibit=str(what), who=str(who), mode=str(mode))
        fd = dbus.types.UnixFd(write)
        os.close(write)
        return fd


session, system = dbus.SessionBus(), dbus.bus.BusConnection(os.environ["DBUS_SYSTEM_BUS_ADDRESS"])
names = [dbus.service.BusName("org.freedesktop.Notifications", session), dbus.service.BusName("org.freedesktop.login1", system)]
objects = [Notifications(session, "/org/freedesktop/Notifications"), Logind(system, "/org/freedesktop/login1")]
say(ready=True)
GLib.MainLoop().run()
