// How far a command is, for whoever sits before it.
#pragma once

#include <string>

#include "base/time.h"

namespace tessera::apps {

// One line on a terminal, and nothing elsewhere. Gone with its owner. Owned by one thread.
class Progress {
 public:
  Progress();
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // "40 % WHAT, about 3 s left"
  void at(double done, const char* what);
  void say(const std::string& line);
  void clear();

 private:
  bool shown_;
  bool dirty_ = false;
  TimePoint begun_;
  TimePoint last_{};
};

}  // namespace tessera::apps
