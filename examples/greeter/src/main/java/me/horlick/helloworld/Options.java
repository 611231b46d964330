package me.horlick.helloworld;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/** Flags of the form {@code --name=value}, {@code --name value} or {@code --name}, held against the list of those that exist. */
final class Options {
  private final Map<String, String> values;

  private Options(Map<String, String> values) {
    this.values = values;
  }

  /** {@code defaults} names every flag there is; exits with 64 on any other. */
  static Options parse(String program, String[] arguments, Map<String, String> defaults) {
    Map<String, String> values = new HashMap<>(defaults);
    for (int at = 0; at < arguments.length; at++) {
      String argument = arguments[at];
      int equals = argument.indexOf('=');
      String name = argument.replaceFirst("^--?", "").replaceFirst("=.*", "");
      if (!argument.startsWith("-") || !defaults.containsKey(name)) {
        System.err.println(program + ": unknown argument " + argument + "; flags and defaults: " + new TreeMap<>(defaults));
        System.exit(64);
      }
      boolean isSwitch = defaults.get(name).equals("true") || defaults.get(name).equals("false");
      if (equals >= 0) {
        values.put(name, argument.substring(equals + 1));
      } else if (isSwitch || at + 1 == arguments.length) {
        values.put(name, "true");
      } else {
        values.put(name, arguments[++at]);
      }
    }
    return new Options(values);
  }

  String text(String name) {
    return values.get(name);
  }

  /** The value, or {@code otherwise} where none was given. */
  String text(String name, String otherwise) {
    return text(name).isEmpty() ? otherwise : text(name);
  }

  boolean flag(String name) {
    return values.get(name).equals("true");
  }

  int number(String name) {
    try {
      return Integer.parseInt(values.get(name));
    } catch (NumberFormatException notANumber) {
      System.err.println("--" + name + " takes a number, not " + values.get(name));
      System.exit(64);
      throw notANumber;
    }
  }
}
