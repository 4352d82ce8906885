// What a scheduler was told and what it answered, as bytes: recorded by a server, decided again by a replay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "base/time.h"
#include "core/slice.h"
#include "sched/events.h"
#include "sched/scheduler.h"

namespace tessera::sched {

// A journal is this line, then records: 4 bytes with the length of a record, 4 with the FNV-1a hash of those, 4 with
// the record's hash, all little-endian, and the record. Whole numbers in records are of variable length, seven bits a
// byte; doubles are kept bit for bit.
inline constexpr std::string_view kJournalHead = "tessera journal 5\n";
inline constexpr std::size_t kMaxJournalRecord = std::size_t{64} << 20;

// A device's scheduler begins.
struct JournalDevice {
  std::uint16_t number = 0;
  std::string policy;  // as make_policy() took it
  DeviceShape shape;
  SchedulerLimits limits;
};

// Scheduler::on_event was called. Those of one device are in order; those of several lie among each other.
struct JournalStep {
  std::uint16_t device = 0;
  TimePoint at{};
  Event event;
  std::string actions;  // as encode_actions() writes them
};

// Nothing follows.
struct JournalEnd {
  std::string why;  // recording had to stop; empty: the server did
};

using JournalRecord = std::variant<JournalDevice, JournalStep, JournalEnd>;

// Append a record.
void write_device(const JournalDevice& device, std::string& out);
void write_step(std::uint16_t device, TimePoint at, const Event& event, const Actions& actions, std::string& out);
void write_end(const JournalEnd& end, std::string& out);

// How many of these bytes, which begin with a record, are whole records.
std::size_t whole_records(std::string_view bytes);

// A record of these very bytes, whatever they are.
void write_record(std::string_view payload, std::string& out);

std::string encode_actions(const Actions& actions);
Result<Actions> decode_actions(std::string_view bytes);

// Reads what another process wrote, which may be damaged: every length is checked. Owned by one thread; does not
// outlive the bytes.
class JournalReader {
 public:
  // Error: these are no journal of this version.
  static Result<JournalReader> open(std::string_view bytes);

  // Nothing: the end. Error: a damaged record, with its place.
  Result<std::optional<JournalRecord>> next();

  // After the end: the last record is not there as a whole, as the process was killed.
  bool cut_short() const { return cut_short_; }
  double share_read() const { return static_cast<double>(at_) / static_cast<double>(bytes_.size()); }

 private:
  explicit JournalReader(std::string_view bytes) : bytes_(bytes), at_(kJournalHead.size()) {}

  std::string_view bytes_;
  std::size_t at_;
  bool cut_short_ = false;
};

// For people: the name, and its members in the order of events.h; vectors as "count:" and what is in them, optional
// ones as 0 or 1 before them, times in nanoseconds.
std::string describe(const Event& event);
std::string describe(const Action& action);

}  // namespace tessera::sched
