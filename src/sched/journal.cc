#include "sched/journal.h"

#include <array>
#include <utility>

#include "sched/journal_codec.h"

namespace tessera::sched {
namespace {

using journal::all;
using journal::Printer;
using journal::put;
using journal::Reader;
using journal::Writer;

// Of a frame: the length, its hash, the hash of what it frames.
constexpr std::size_t kLength = 4;
constexpr std::size_t kFrame = kLength + 4 + 4;

// ---- Frames ----

std::uint32_t hash_of(std::string_view bytes) {
  std::uint32_t hash = 2166136261U;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619U;
  return hash;
}

void put_fixed(std::uint32_t value, char* out) {
  for (unsigned i = 0; i < 4; ++i) out[i] = static_cast<char>(value >> (8 * i));
}
std::uint32_t get_fixed(const char* in) {
  std::uint32_t out = 0;
  for (unsigned i = 0; i < 4; ++i) out |= std::uint32_t{static_cast<unsigned char>(in[i])} << (8 * i);
  return out;
}

void seal(std::string& out, std::size_t begin) {
  const std::string_view payload = std::string_view(out).substr(begin + kFrame);
  const std::uint32_t hash = hash_of(payload);
  put_fixed(static_cast<std::uint32_t>(payload.size()), &out[begin]);
  put_fixed(hash_of(std::string_view(out).substr(begin, kLength)), &out[begin + kLength]);
  put_fixed(hash, &out[begin + kLength + 4]);
}

// A record of that kind, whose members `fill` writes.
template <typename Kind, typename Fill>
void frame(std::string& out, const Fill& fill) {
  const std::size_t begin = out.size();
  out.append(kFrame, '\0');
  Writer writer(out);
  writer.whole(JournalRecord(Kind{}).index());
  fill(writer);
  seal(out, begin);
}

Error damaged(std::size_t at, std::string_view what) {
  return invalid_argument("the journal is damaged at byte " + std::to_string(at) + ": " + std::string(what));
}

}  // namespace

void write_device(const JournalDevice& device, std::string& out) {
  frame<JournalDevice>(out, [&](Writer& writer) { put(writer, device); });
}

void write_step(std::uint16_t device, TimePoint at, const Event& event, const Actions& actions, std::string& out) {
  thread_local std::string answered;
  answered.clear();
  Writer of_actions(answered);
  put(of_actions, actions);
  frame<JournalStep>(out, [&](Writer& writer) { all(writer, device, at, event, answered); });
}

void write_end(const JournalEnd& end, std::string& out) {
  frame<JournalEnd>(out, [&](Writer& writer) { put(writer, end); });
}

void write_record(std::string_view payload, std::string& out) {
  const std::size_t begin = out.size();
  out.append(kFrame, '\0').append(payload);
  seal(out, begin);
}

std::size_t whole_records(std::string_view bytes) {
  std::size_t at = 0;
  while (bytes.size() - at >= kFrame) {
    const std::size_t size = kFrame + get_fixed(bytes.data() + at);
    if (size > bytes.size() - at) break;
    at += size;
  }
  return at;
}

std::string encode_actions(const Actions& actions) {
  std::string out;
  Writer writer(out);
  put(writer, actions);
  return out;
}

Result<Actions> decode_actions(std::string_view bytes) {
  Reader reader(bytes);
  Actions out;
  put(reader, out);
  if (!reader.good() || !reader.at_end()) return invalid_argument("these are no actions");
  return out;
}

Result<JournalReader> JournalReader::open(std::string_view bytes) {
  if (bytes.substr(0, kJournalHead.size()) != kJournalHead) {
    return invalid_argument("not a journal of this version: it does not begin with 'tessera journal 5'");
  }
  return JournalReader(bytes);
}

Result<std::optional<JournalRecord>> JournalReader::next() {
  const std::size_t left = bytes_.size() - at_;
  if (left == 0) return std::optional<JournalRecord>();
  std::size_t size = 0;
  if (left >= kFrame) {
    const char* frame = bytes_.data() + at_;
    // Otherwise a damaged length would pass for a record that was not written to its end.
    if (hash_of({frame, kLength}) != get_fixed(frame + kLength))
      return damaged(at_, "a length is not what was written");
    size = get_fixed(frame);
    if (size > kMaxJournalRecord) return damaged(at_, "a record of " + std::to_string(size) + " bytes");
  }
  if (left < kFrame + size) {
    cut_short_ = true;
    at_ = bytes_.size();
    return std::optional<JournalRecord>();
  }
  const std::string_view payload = bytes_.substr(at_ + kFrame, size);
  if (hash_of(payload) != get_fixed(bytes_.data() + at_ + kLength + 4)) {
    return damaged(at_, "a record is not what was written");
  }
  Reader reader(payload);
  std::optional<JournalRecord> out(std::in_place);
  put(reader, *out);
  if (!reader.good() || !reader.at_end()) return damaged(at_ + kFrame + reader.at(), "not a record of this version");
  at_ += kFrame + size;
  return out;
}

namespace {

// In the order of Event and of Action.
constexpr std::array kEvents = {"Arrival",    "InputReady",    "LaunchEnded",  "TimerFired", "Cancelled",
                                "ModelUp",    "ModelDown",     "SliceReady",   "HomeFailed", "BucketsEnd",
                                "Measured",   "LoaderWants",   "LoaderDone",   "LaneWanted", "LaneDone",
                                "DeviceDown", "ParamsChanged", "PolicyChanged"};
constexpr std::array kActions = {"StartLaunch", "Reject",    "SetTimer",        "PrepareHome", "DropHome",
                                 "GrantLoader", "GrantLane", "InstanceDrained", "LaunchStuck", "StuckEnded"};
static_assert(kEvents.size() == std::variant_size_v<Event> && kActions.size() == std::variant_size_v<Action>);

template <typename Any>
std::string line(const char* name, const Any& what) {
  std::string out = std::string(name) + "(";
  Printer printer(out);
  std::visit([&printer](const auto& one) { put(printer, one); }, what);
  return out + ")";
}

}  // namespace

std::string describe(const Event& event) { return line(kEvents[event.index()], event); }
std::string describe(const Action& action) { return line(kActions[action.index()], action); }

}  // namespace tessera::sched
