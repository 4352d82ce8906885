#include "server/http/body/content_coding.h"

#include <zlib.h>

#include <algorithm>

namespace tessera::server::http {
namespace {

// zlib takes input it does not change through a pointer that is not const.
Bytef* zlib_pointer(std::span<const std::byte> bytes) {
  return const_cast<Bytef*>(
      reinterpret_cast<const Bytef*>(bytes.data()));  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

constexpr std::size_t kPiece = 1 << 20;  // fits zlib's 32-bit counts

}  // namespace

// zlib's state for unpacking; counts what may still come out. Owned by one thread.
class Inflater::Stream {
 public:
  explicit Stream(std::size_t max_bytes) : left_(max_bytes), max_bytes_(max_bytes) {
    constexpr int kDetectGzipOrZlib = 15 + 32;
    TESSERA_CHECK(::inflateInit2(&stream_, kDetectGzipOrZlib) == Z_OK);
  }
  ~Stream() { ::inflateEnd(&stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Result<Step> step(std::span<const std::byte> input, std::span<std::byte> room) {
    if (done_) {
      if (!input.empty()) {
        return invalid_argument("bytes follow the end of the compressed body");
      }
      return Step{};
    }
    input = input.first(std::min(input.size(), kPiece));
    room = room.first(std::min(room.size(), kPiece));
    stream_.next_in = zlib_pointer(input);
    stream_.avail_in = static_cast<uInt>(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(room.data());
    stream_.avail_out = static_cast<uInt>(room.size());
    const int code = ::inflate(&stream_, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
      return invalid_argument(std::string("malformed compressed body: ") +
                              (stream_.msg != nullptr ? stream_.msg : "not gzip or deflate"));
    }
    done_ = code == Z_STREAM_END;
    const std::size_t unpacked = room.size() - stream_.avail_out;
    if (unpacked > left_) {
      return Error(ErrorCode::kTooLarge,
                   "the unpacked body is larger than the limit of " + std::to_string(max_bytes_) + " bytes");
    }
    left_ -= unpacked;
    return Step{input.size() - stream_.avail_in, room.first(unpacked)};
  }

  bool done() const { return done_; }

 private:
  z_stream stream_{};
  std::size_t left_;
  const std::size_t max_bytes_;
  bool done_ = false;
};

Inflater::Inflater(std::size_t max_bytes) : stream_(std::make_unique<Stream>(max_bytes)) {}
Inflater::~Inflater() = default;
Result<Inflater::Step> Inflater::step(std::span<const std::byte> input, std::span<std::byte> room) {
  return stream_->step(input, room);
}
bool Inflater::done() const { return stream_->done(); }

// zlib's state for packing, at its fastest. Owned by one thread.
class Deflater::Stream {
 public:
  explicit Stream(Coding coding) {
    TESSERA_CHECK(coding != Coding::kIdentity);
    constexpr int kWindowBits = 15;
    constexpr int kGzip = 16;
    constexpr int kMemoryLevel = 8;
    TESSERA_CHECK(::deflateInit2(&stream_, Z_BEST_SPEED, Z_DEFLATED,
                                 kWindowBits + (coding == Coding::kGzip ? kGzip : 0), kMemoryLevel,
                                 Z_DEFAULT_STRATEGY) == Z_OK);
  }
  ~Stream() { ::deflateEnd(&stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void write(std::span<const std::byte> piece, bool last, std::string& packed) {
    do {
      const std::size_t count = std::min(piece.size(), kPiece);
      stream_.next_in = zlib_pointer(piece);
      stream_.avail_in = static_cast<uInt>(count);
      const bool end = last && count == piece.size();
      do {
        const std::size_t before = packed.size();
        const std::size_t room = std::max<std::size_t>(4096, count / 4);
        packed.resize(before + room);
        stream_.next_out = reinterpret_cast<Bytef*>(packed.data() + before);
        stream_.avail_out = static_cast<uInt>(room);
        TESSERA_CHECK(::deflate(&stream_, end ? Z_FINISH : Z_NO_FLUSH) != Z_STREAM_ERROR);
        packed.resize(packed.size() - stream_.avail_out);
      } while (stream_.avail_out == 0);
      piece = piece.subspan(count);
    } while (!piece.empty());
  }

 private:
  z_stream stream_{};
};

Deflater::Deflater(Coding coding) : stream_(std::make_unique<Stream>(coding)) {}
Deflater::~Deflater() = default;
void Deflater::write(std::span<const std::byte> piece, bool last, std::string& packed) {
  stream_->write(piece, last, packed);
}

}  // namespace tessera::server::http
