// The thread that sees launches and copies end: it looks at their events, since being told by the driver takes 30 us
// longer.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <semaphore.h>

#include "base/result.h"
#include "base/time.h"
#include "device/cuda/launch_order.h"

namespace tessera::device {

// Looks only at launches (and copies, which are as launches here) that may be running: those whose predecessors have
// ended. Sleeps while nothing is in flight. watch() is called by one thread at a time, stop() after the last watch()
// from outside the thread itself.
class CompletionPoller {
 public:
  using Places = LaunchOrder::Places;

  struct Ended {
    std::size_t place = 0;
    bool ran = false;  // false: it still waited for others when everything ended
    TimePoint started{};
    TimePoint ended{};
    Duration blur{0};  // as of Completion
  };
  enum class Look { kRunning, kEnded, kEverythingEnded };
  struct Watcher {
    std::function<void()> begin;  // on the thread, first
    // Asks for one launch. kEverythingEnded: the card is lost, and with it all that is in flight, now and later.
    std::function<Look(std::size_t place)> look;
    // Reports one end; may call watch(). False: not yet, as its outputs are on their way; it is asked again.
    std::function<bool(const Ended&)> report;
    // Where ends are waited for and not looked for: returns when that launch has ended, or sooner.
    std::function<void(std::size_t place)> await = {};
  };

  CompletionPoller(std::string name, Watcher watcher, Duration pause);
  ~CompletionPoller();
  CompletionPoller(const CompletionPoller&) = delete;
  CompletionPoller& operator=(const CompletionPoller&) = delete;

  // Follows a launch from now on, queued at `queued` behind `waits_for`. At most kPlaces are followed at once.
  void watch(std::size_t place, const Places& waits_for, TimePoint queued);

  // Returns when all that is watched has ended and was reported.
  void stop();

 private:
  struct Flight {
    std::size_t place = 0;
    Places waits_for;
    TimePoint started{};
    Duration blur{0};  // of `started`
  };
  struct Seen {
    TimePoint at{};
    Duration blur{0};
  };

  void loop(const std::string& name);
  void take_in();
  bool look_at_all();
  bool report_again();
  void end(std::size_t index, TimePoint at);
  static void begins_after(Flight& flight, const Seen& before);
  void sleep();
  void await_first();

  const Watcher watcher_;
  const Duration pause_;

  std::array<Flight, LaunchOrder::kPlaces> ring_;
  std::atomic<std::size_t> written_{0};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stopping_{false};
  sem_t signal_;

  // The thread's own:
  std::size_t read_ = 0;
  std::vector<Flight> watched_;    // as launched
  std::vector<Ended> unreported_;  // ended, but not to be told yet
  Places watched_places_;
  std::array<Seen, LaunchOrder::kPlaces> ended_at_{};
  TimePoint looking_since_{};  // what has ended since would have been seen, but for the present pass
  TimePoint pass_{};           // when that began
  bool everything_ended_ = false;

  std::thread thread_;
};

}  // namespace tessera::device
