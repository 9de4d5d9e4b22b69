//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// A block is in Y0 (the first 32 bytes) and Y1. FILL sets all bytes of a
// register to c.
#define FILL(c, x, y) \
	MOVL         $c, AX \
	VMOVD        AX, x  \
	VPBROADCASTB x, y

// SET sets out to the bytes of y0 and y1 that are those of c; bit i is byte i.
#define SET(y0, y1, c, out, tmp) \
	VPCMPEQB  y0, c, Y4 \
	VPCMPEQB  y1, c, Y5 \
	VPMOVMSKB Y4, out   \
	VPMOVMSKB Y5, tmp   \
	SHLQ      $32, tmp  \
	ORQ       tmp, out

// BACKSLASHES sets BX to the backslashes, or goes on at none where there is none
// and the first byte is not escaped (R11), which one move out of a vector shows.
#define BACKSLASHES(none) \
	VPCMPEQB  Y0, Y9, Y4 \
	VPCMPEQB  Y1, Y9, Y5 \
	VPOR      Y4, Y5, Y2 \
	VPMOVMSKB Y2, DX     \
	ORQ       R11, DX    \
	JZ        none       \
	VPMOVMSKB Y4, BX     \
	VPMOVMSKB Y5, DX     \
	SHLQ      $32, DX    \
	ORQ       DX, BX

DATA odd<>+0(SB)/8, $0xaaaaaaaaaaaaaaaa
GLOBL odd<>(SB), RODATA|NOPTR, $8

// ESCAPED sets counts to the backslashes that count, and follows to the bytes
// that follow one. carry is 1 if the block's first byte does, and becomes 1 if
// the next block's does.
//
// A run of backslashes begins at an even or at an odd byte. The subtraction
// borrows along each run, from the byte behind its first, and leaves every
// other bit of it turned. As simdjson.
#define ESCAPED(backslash, carry, counts, follows) \
	ANDNQ backslash, carry, follows  \ // the first byte is none if it is escaped
	LEAQ  (follows)(follows*1), counts \
	ORQ   odd<>(SB), counts          \
	SUBQ  follows, counts            \
	XORQ  odd<>(SB), counts          \ // the backslashes that count, and what the runs' last ones escape
	MOVQ  backslash, follows         \
	ORQ   carry, follows             \
	XORQ  counts, follows            \
	ANDQ  backslash, counts          \
	MOVQ  counts, carry              \
	SHRQ  $63, carry

// TURNS goes to uneven unless the brackets open (BX) and close (CX) alternately,
// from a lower depth (R9) to one more and back, beginning in a bracket if R15 is
// all ones, which becomes whether the block ends in one. Then what is in them
// (R14) is their difference, since each that opens borrows up to the one that
// closes; and then, and only then, those that open are in it, and those that
// close are not.
#define TURNS(uneven) \
	LEAQ (CX)(R15*1), R14 \
	SUBQ BX, R14          \
	LEAQ (CX)(BX*1), DX   \
	ANDQ R14, DX          \
	CMPQ DX, BX           \
	JNE  uneven           \
	MOVQ R14, R15         \
	SARQ $63, R15

// PASS goes on behind the quotes that begin and end strings (AX): it passes over
// the block, or goes to uneven, and to next at the next block.
//
// In a string (AX) is what has an odd number of quotes up to it: the product
// without carries by all ones. [ and ] are { and } without 0x20. BX opens, CX
// closes, outside strings.
#define PASS(next, flat) \
	VMOVQ      AX, X2             \
	VPCLMULQDQ $0, X14, X2, X2    \
	VMOVQ      X2, AX             \
	XORQ       R10, AX            \
	MOVQ       AX, R10            \
	SARQ       $63, R10           \
	VPOR       Y0, Y13, Y2        \
	VPOR       Y1, Y13, Y3        \
	SET(Y2, Y3, Y10, BX, DX)      \
	ANDNQ      BX, AX, BX         \
	SET(Y2, Y3, Y11, CX, DX)      \
	ANDNQ      CX, AX, CX         \
	TURNS(uneven)                 \
	TESTQ      R13, R13           \
	JZ         flat               \
	COMMAS                        \
flat:                             \
	ADDQ       $64, SI            \
	CMPQ       SI, R8             \
	JB         next

// COMMAS counts those outside strings (AX) and brackets (R14).
#define COMMAS \
	SET(Y0, Y1, Y12, DX, CX) \
	ORQ     R14, AX          \
	ANDNQ   DX, AX, DX       \
	POPCNTQ DX, DX           \
	ADDQ    DX, R12

// COUNTING sets R13 to whether commas outside brackets count: at depth 1.
#define COUNTING \
	MOVQ    k+0(FP), DX             \
	MOVBQZX skipper_counting(DX), R13 \
	XORL    DX, DX                  \
	CMPQ    R9, $1                  \
	CMOVQNE DX, R13

// func passVector(k *skipper, p []byte, as spelling) (n int, s sets)
//
//	SI the block, R8 behind the last one
//	R9 the lower depth, R15 all ones one above it, R13 its commas count
//	R10 all ones in a string, R11 escaped, R12 commas
TEXT ·passVector(SB), NOSPLIT, $0-72
	MOVQ k+0(FP), DI
	MOVQ p_base+8(FP), SI
	MOVQ p_len+16(FP), R8
	ANDQ $~63, R8
	ADDQ SI, R8

	FILL('"', X8, Y8)
	FILL('\\', X9, Y9)
	FILL('{', X10, Y10)
	FILL('}', X11, Y11)
	FILL(',', X12, Y12)
	FILL(0x20, X13, Y13)
	VPCMPEQB X14, X14, X14

	MOVQ    skipper_depth(DI), R9
	MOVL    $1, DX
	CMPQ    DX, R9
	SBBQ    R15, R15 // above depth 1, likely what is open closes next
	ADDQ    R15, R9
	COUNTING
	MOVBQZX skipper_inString(DI), R10
	NEGQ    R10
	MOVBQZX skipper_escaped(DI), R11
	MOVQ    skipper_commas(DI), R12

again:
	CMPQ SI, R8
	JAE  end
	CMPB as+32(FP), $0
	JNE  text

json:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	SET(Y0, Y1, Y8, AX, DX)
	BACKSLASHES(jsonStrings)
	ESCAPED(BX, R11, CX, DX)
	ANDNQ   AX, DX, AX

jsonStrings:
	PASS(json, jsonFlat)
	JMP end

text:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	SET(Y0, Y1, Y8, AX, DX)
	SET(Y0, Y1, Y9, BX, DX)

	// The usual: a backslash before each quote, and nowhere else.
	LEAQ (R11)(BX*2), CX
	CMPQ AX, CX
	JNE  unusual
	MOVQ BX, R11
	SHRQ $63, R11

textStrings:
	PASS(text, textFlat)
	JMP end

unusual:
	// AX quotes, BX inner backslashes, CX backslashes before these; DX becomes
	// what else is escaped, which is to be the letter that as is.
	MOVQ  R11, s_comma+64(FP)
	ESCAPED(BX, R11, CX, DX)
	ANDNQ AX, DX, DI
	JNZ   special // the end
	ANDQ  DX, BX
	ANDNQ DX, AX, DX
	ANDNQ DX, BX, DX
	JZ    inner
	VPBROADCASTB as+32(FP), Y3
	SET(Y0, Y1, Y3, DI, R14)
	ANDNQ DX, DI, DX
	JNZ   special

inner:
	// Behind an inner backslash is the byte that it escapes, or the backslash
	// before that; not in the next block, and no inner backslash.
	MOVQ  BX, DX
	ADDQ  BX, BX
	JCS   special
	MOVQ  BX, DI
	ANDQ  CX, DI
	XORQ  DI, BX
	ADDQ  DI, DI
	JCS   special
	ORQ   DI, BX
	TESTQ DX, BX
	JNZ   special
	ANDNQ AX, BX, AX
	JMP   textStrings

special:
	MOVQ s_comma+64(FP), R11
	MOVQ $0, s_bracket+48(FP)
	JMP  end

uneven:
	// Could all that close bring the depth to 0, or to 1 where the commas
	// count? If not, the numbers are enough.
	MOVQ    R9, DI
	SUBQ    R15, DI
	POPCNTQ CX, DX
	SUBQ    DX, DI
	MOVQ    k+0(FP), DX
	MOVBQZX skipper_counting(DX), DX
	CMPQ    DI, DX
	JLE     turned
	POPCNTQ BX, R9
	ADDQ    DI, R9
	CMPQ    CX, BX
	SBBQ    R15, R15 // the last one opens
	ADDQ    R15, R9
	COUNTING
	ADDQ    $64, SI
	JMP     again

turned:
	// Alternately, but in the other two depths that the one before the block may be
	// one of?
	SUBQ  R15, R9
	NOTQ  R15
	ADDQ  R15, R9
	JLE   stop // closed
	TURNS(stop)
	COUNTING
	ADDQ  $64, SI
	TESTQ R13, R13
	JZ    again
	COMMAS
	JMP   again

stop:
	MOVQ    BX, s_open+56(FP)
	ORQ     CX, BX
	MOVQ    BX, s_bracket+48(FP)
	SET(Y0, Y1, Y12, DX, CX)
	ANDNQ   DX, AX, DX
	MOVQ    k+0(FP), DI
	MOVBQZX skipper_counting(DI), CX
	NEGQ    CX
	ANDQ    CX, DX // none if they are not counted
	MOVQ    DX, s_comma+64(FP)

end:
	MOVQ k+0(FP), DI
	SUBQ R15, R9
	MOVQ R9, skipper_depth(DI)
	NEGQ R10
	MOVB R10, skipper_inString(DI)
	MOVB R11, skipper_escaped(DI)
	MOVQ R12, skipper_commas(DI)
	SUBQ p_base+8(FP), SI
	MOVQ SI, n+40(FP)
	VZEROUPPER
	RET

// func quoteVector(p []byte, before bool) (n int, escaped, found bool)
//
//	SI the block, R8 behind the last one, R11 escaped
TEXT ·quoteVector(SB), NOSPLIT, $0-42
	MOVQ    p_base+0(FP), SI
	MOVQ    p_len+8(FP), R8
	ANDQ    $~63, R8
	ADDQ    SI, R8
	MOVBQZX before+24(FP), R11
	XORL    R10, R10 // found
	FILL('"', X8, Y8)
	FILL('\\', X9, Y9)

next:
	CMPQ SI, R8
	JAE  end
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1

	// A block without a quote matters for no more than how it ends.
	VPCMPEQB  Y0, Y8, Y4
	VPCMPEQB  Y1, Y8, Y5
	VPOR      Y4, Y5, Y2
	VPMOVMSKB Y2, AX
	TESTL     AX, AX
	JNZ       quotes
	CMPB      63(SI), $'\\'
	JEQ       quotes
	XORL      R11, R11
	ADDQ      $64, SI
	JMP       next

quotes:
	SET(Y0, Y1, Y8, AX, DX)
	BACKSLASHES(unescaped)
	ESCAPED(BX, R11, CX, DX)
	ANDNQ AX, DX, AX

unescaped:
	TESTQ AX, AX
	JNZ   found
	ADDQ  $64, SI
	JMP   next

found:
	BSFQ AX, AX
	ADDQ AX, SI
	XORL R11, R11 // whatever comes behind the quote
	INCQ R10

end:
	SUBQ p_base+0(FP), SI
	MOVQ SI, n+32(FP)
	MOVB R11, escaped+40(FP)
	MOVB R10, found+41(FP)
	VZEROUPPER
	RET

// Of an escape's letter, bits 1 to 4 tell b, f, n, r and t apart: which of them
// would have the bits, and what it stands for.
DATA letters<>+0(SB)/8, $0x6e000000660062ff // b at 1, f at 3, n at 7; and not NUL at 0
DATA letters<>+8(SB)/8, $0x0000000000747200 // r at 9, t at 10
GLOBL letters<>(SB), RODATA|NOPTR, $16
DATA meanings<>+0(SB)/8, $0x0a0000000c000800
DATA meanings<>+8(SB)/8, $0x0000000000090d00
GLOBL meanings<>(SB), RODATA|NOPTR, $16

// Where the bit of each of 32 bytes is in 4 bytes, and which bit it is.
DATA spread<>+0(SB)/8, $0x0000000000000000
DATA spread<>+8(SB)/8, $0x0101010101010101
DATA spread<>+16(SB)/8, $0x0202020202020202
DATA spread<>+24(SB)/8, $0x0303030303030303
GLOBL spread<>(SB), RODATA|NOPTR, $32
DATA which<>+0(SB)/8, $0x8040201008040201
GLOBL which<>(SB), RODATA|NOPTR, $8

// KEEP stores the i-th 8 bytes of the block (BX) but for those whose bits are
// set in the low byte of R13.
#define KEEP(i) \
	MOVBQZX R13, CX            \
	SHRQ    $8, R13            \
	VMOVQ   (R10)(CX*8), X3    \
	VMOVQ   (8*i)(BX), X2      \
	VPSHUFB X3, X2, X2         \
	VMOVQ   X2, (8*i)(DI)      \
	POPCNTQ CX, CX             \
	SUBQ    CX, DI

// LETTERS replaces those bytes of y that are in the low half of set, and are
// b, f, n, r or t, by what these stand for; out becomes where y has one of them.
#define LETTERS(y, set, out) \
	VPSRLW       $1, y, Y2     \
	VPAND        Y2, Y10, Y2   \
	VPSHUFB      Y2, Y11, Y3   \
	VPCMPEQB     Y3, y, Y3     \
	VPMOVMSKB    Y3, out       \
	VPSHUFB      Y2, Y12, Y2   \
	VMOVD        set, X4       \
	VPBROADCASTD X4, Y4        \
	VPSHUFB      Y13, Y4, Y4   \
	VPAND        Y14, Y4, Y4   \
	VPCMPEQB     Y14, Y4, Y4   \
	VPAND        Y3, Y4, Y4    \
	VPBLENDVB    Y4, Y2, y, y

// func unescapeVector(out, p []byte, keeping *[256][8]byte) (written, n int)
//
//	DI where to write, R9 up to where a block can begin, R10 keeping
//	SI the block, R8 up to where one can begin, R11 the first byte is escaped
TEXT ·unescapeVector(SB), NOSPLIT, $64-72
	MOVQ out_base+0(FP), DI
	MOVQ out_len+8(FP), R9
	LEAQ -64(DI)(R9*1), R9
	MOVQ p_base+24(FP), SI
	MOVQ p_len+32(FP), R8
	LEAQ -64(SI)(R8*1), R8
	MOVQ keeping+48(FP), R10
	XORL R11, R11

	FILL('"', X8, Y8)
	FILL('\\', X9, Y9)
	FILL(0x0f, X10, Y10)
	FILL('/', X15, Y15)
	VBROADCASTI128 letters<>(SB), Y11
	VBROADCASTI128 meanings<>(SB), Y12
	VMOVDQU        spread<>(SB), Y13
	VPBROADCASTQ   which<>(SB), Y14

next:
	CMPQ SI, R8
	JHI  end
	CMPQ DI, R9
	JHI  end
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	SET(Y0, Y1, Y8, AX, DX)
	BACKSLASHES(plain)
	ESCAPED(BX, R11, R13, R12)
	// AX becomes where to stop, DX what is escaped and neither quote nor
	// backslash.
	ORQ   AX, BX
	ANDNQ R12, BX, DX
	ANDNQ AX, R12, AX
	MOVQ  SI, BX
	MOVQ  R13, R12 // the backslashes that count
	TESTQ DX, DX
	JZ    keep

	MOVQ    DX, CX
	LETTERS(Y0, CX, R14)
	SHRQ    $32, CX
	LETTERS(Y1, CX, BX)
	SHLQ    $32, BX
	ORQ     BX, R14
	LEAQ    mapped-64(SP), BX
	VMOVDQU Y0, (BX)
	VMOVDQU Y1, 32(BX)
	ANDNQ   DX, R14, DX
	JZ      keep
	SET(Y0, Y1, Y15, CX, R14)
	ANDNQ   DX, CX, DX

keep:
	MOVQ DI, R14
	KEEP(0)
	KEEP(1)
	KEEP(2)
	KEEP(3)
	KEEP(4)
	KEEP(5)
	KEEP(6)
	KEEP(7)
	ORQ  DX, AX
	JNZ  stop
	ADDQ $64, SI
	ADDQ $64, DI
	JMP  next

plain:
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	TESTQ   AX, AX
	JNZ     quote
	ADDQ    $64, SI
	ADDQ    $64, DI
	JMP     next

quote:
	BSFQ AX, AX
	ADDQ AX, SI
	ADDQ AX, DI
	JMP  done

stop:
	// Of the block, only what is before AX's first bit, and before the
	// backslash in front of it if that is what it escapes.
	MOVQ    R14, DI
	BSFQ    AX, CX
	BTQ     CX, DX
	SBBQ    $0, CX
	ADDQ    CX, SI
	TESTQ   CX, CX
	JS      done // the backslash was in the block before
	MOVL    $1, AX
	SHLQ    CX, AX
	DECQ    AX
	ANDNQ   AX, R12, AX
	POPCNTQ AX, AX
	ADDQ    AX, DI
	JMP     done

end:
	SUBQ R11, SI // a backslash whose letter has not come

done:
	SUBQ out_base+0(FP), DI
	MOVQ DI, written+56(FP)
	SUBQ p_base+24(FP), SI
	MOVQ SI, n+64(FP)
	VZEROUPPER
	RET
