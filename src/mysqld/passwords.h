// mysqld/passwords.h - the accounts' passwords from a file, so that none stands on a command line,
// which everybody on the machine can read.
#pragma once

#include <string>

#include "base/error.h"
#include "mysqld/users.h"

namespace paceline::mysqld {

// The file is in Vitess's format, {"vt_repl": ["password"], ...}, by the accounts' names. Accounts
// that are not in it keep what they have. Errors: kNotFound, kInvalidArgument naming the file,
// never its content.
Status ReadPasswords(const std::string& file, Users* users);

}  // namespace paceline::mysqld
