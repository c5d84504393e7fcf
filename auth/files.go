package auth

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

var (
	errNoFile   = errors.New("it is not a regular file")
	errTooLarge = errors.New("it is too large")
)

// readFile reads a regular file of at most limit bytes. It waits for nobody:
// a pipe or a device is refused.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNoFile
	}
	file, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readOpened(file, limit)
}

// readOpened looks again at what was opened: it may be another file by now.
func readOpened(file *os.File, limit int64) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNoFile
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, errTooLarge
	}
	return data, nil
}

// writeWhole puts data into a new file of mode 0600 at name inside root: the
// whole of it, on the disk, or nothing. With overwrite a file that is there is
// replaced, without it is fs.ErrExist.
func writeWhole(root *os.Root, name string, data []byte, overwrite bool) (err error) {
	temp := ".duplibot-" + randomName() + ".part"
	file, err := root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if rm := root.Remove(temp); rm != nil && !errors.Is(rm, fs.ErrNotExist) && err == nil {
			err = rm
		}
	}()
	_, err = file.Write(data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if overwrite {
		err = root.Rename(temp, name)
	} else if err = root.Link(temp, name); err != nil && !errors.Is(err, fs.ErrExist) {
		err = writePlain(root, name, data) // a disk without hard links
	}
	if err != nil {
		return err
	}
	return syncRoot(root)
}

// writePlain makes name itself, and takes it away again when not all of data
// goes in.
func writePlain(root *os.Root, name string, data []byte) error {
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, root.Remove(name))
	}
	return nil
}

// privateFolder makes a folder of this account alone, or checks that it is.
func privateFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !private(info) {
		return fmt.Errorf("%s can be opened by other accounts; make it private: chmod 0700 %s", dir, dir)
	}
	return nil
}
