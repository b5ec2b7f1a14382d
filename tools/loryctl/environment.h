#ifndef LORY_TOOLS_LORYCTL_ENVIRONMENT_H_
#define LORY_TOOLS_LORYCTL_ENVIRONMENT_H_

#include <functional>
#include <istream>
#include <ostream>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace lory::ctl {

// What surrounds one call of loryctl. Real in main, made up in tests.
struct Environment {
  std::ostream& out;  // data
  std::ostream& err;  // words for people
  std::istream& in;   // of `-f -`
  Clock& clock;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool utf8 = false;  // bars of block characters instead of #
  int columns = 80;
  // Value of an environment variable; empty: not set.
  std::function<std::string(absl::string_view)> variable =
      [](absl::string_view) { return std::string(); };
  // Sleeps; true: Ctrl-C came, before or meanwhile. From the first call on it
  // is a wish that the caller has to grant. Null: nobody can wish.
  std::function<bool(absl::Duration)> wait_for_stop = nullptr;

  // Not off a terminal, and not where NO_COLOR asks for none.
  bool color() const {
    return out_is_terminal && variable("NO_COLOR").empty() &&
           variable("TERM") != "dumb";
  }
};

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_ENVIRONMENT_H_
